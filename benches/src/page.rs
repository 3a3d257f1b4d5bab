//! The figures as a page with plots.

use std::error::Error;
use std::fmt::Write as _;

use plotters::prelude::*;

use crate::report::{Figure, Goal, Group};

/// Pixels.
const WIDTH: u32 = 900;
const ROW: u32 = 44;
const MARGIN: u32 = 70;

/// One page of all groups: a plot of the ratios, and the table below it.
///
/// # Errors
///
/// The plotting library's.
pub fn page(groups: &[Group]) -> Result<String, Box<dyn Error>> {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>ubc benchmarks</title>\n\
         <style>body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\n\
         pre{overflow-x:auto;font-size:85%}</style>\n<h1>ubc benchmarks</h1>\n\
         <p>Dots are medians of the ratio to the yardstick; half of all turns lie on the line \
         through them. Green and red bars are goals, met and not met. The scale is logarithmic.</p>\n",
    );
    for group in groups {
        write!(html, "<h2>{}</h2>\n<p>{}", escaped(&group.name), escaped(&group.machine))?;
        if group.quick {
            html.push_str("; <b>a brief run, of which the figures mean little</b>");
        }
        html.push_str("</p>\n");
        html.push_str(&plot(group)?);
        writeln!(html, "<pre>{}</pre>", escaped(&group.table()))?;
    }
    Ok(html)
}

/// The ratios of a group; empty if there are none.
fn plot(group: &Group) -> Result<String, Box<dyn Error>> {
    let figures: Vec<(&Figure, f64, [f64; 2])> =
        group.figures.iter().filter_map(|f| Some((f, f.ratio?, f.spread?))).collect();
    if figures.is_empty() {
        return Ok(String::new());
    }
    let seen = figures.iter().flat_map(|(figure, ratio, spread)| {
        [Some(*ratio), Some(spread[0]), Some(spread[1]), goal(figure)].into_iter().flatten()
    });
    let seen = seen.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = seen.fold((1.0_f64, 1.0_f64), |(l, h), value| (l.min(value), h.max(value)));
    let (low, high) = (low / 1.6, high * 1.6);
    let rows = u32::try_from(figures.len())?;
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (WIDTH, rows * ROW + MARGIN)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .build_cartesian_2d((low..high).log_scale(), 0.0..f64::from(rows))?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_desc("ratio to the yardstick")
            .draw()?;
        chart.draw_series([PathElement::new(
            [(1.0, 0.0), (1.0, f64::from(rows))],
            BLACK.mix(0.5),
        )])?;
        for (index, (figure, ratio, [from, to])) in figures.into_iter().enumerate() {
            let y = f64::from(rows) - f64::from(u32::try_from(index)?) - 0.65;
            let name = format!("{} / {}", figure.name, figure.yardstick);
            chart.draw_series([Text::new(name, (low, y + 0.5), ("sans-serif", 13))])?;
            chart.draw_series([PathElement::new([(from, y), (to, y)], BLUE.stroke_width(3))])?;
            chart.draw_series([Circle::new((ratio, y), 4, BLUE.filled())])?;
            if let (Some(at), Some(met)) = (goal(figure), figure.met()) {
                let colour = if met { GREEN } else { RED };
                let bar = [(at, y - 0.25), (at, y + 0.25)];
                chart.draw_series([PathElement::new(bar, colour.stroke_width(3))])?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

/// Where the goal of a ratio lies.
fn goal(figure: &Figure) -> Option<f64> {
    match figure.goal? {
        Goal::AtMost(at) | Goal::AtLeast(at) => Some(at),
        Goal::Value(_) => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
