//! The text of the metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use ubc_core::{Resource, Row, UNLIMITED};

use crate::protocol::{Container, Status};

/// What a gauge shows of a row; `None`: no series.
type Value = fn(&Row, &Status) -> Option<u64>;

/// Name, help and value. A row that nothing meters holds nothing that could be
/// told, and what is not limited has no barrier and no limit.
const GAUGES: [(&str, &str, Value); 5] = [
    ("held", "In use now, in the unit of the row", |row, status| {
        status.measured.then_some(row.held)
    }),
    ("maxheld", "Most ever in use, in the unit of the row", |row, status| {
        status.measured.then_some(row.maxheld)
    }),
    ("barrier", "Barrier in force, in the unit of the row; absent if unlimited", |row, _| {
        Some(row.barrier).filter(|barrier| *barrier != UNLIMITED)
    }),
    ("limit", "Limit in force, in the unit of the row; absent if unlimited", |row, _| {
        Some(row.limit).filter(|limit| *limit != UNLIMITED)
    }),
    ("enforced", "1 where something here imposes the row's limits, else 0", |_, status| {
        Some(u64::from(status.enforced))
    }),
];

/// One moment's containers.
#[derive(Debug)]
struct Containers(Vec<Container>);

/// All of them as OpenMetrics.
pub(crate) fn text(containers: &[Container]) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("ubc");
    registry.register_collector(Box::new(Containers(containers.to_vec())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Containers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let count = ConstGauge::new(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        let family = encoder.encode_descriptor(
            "containers",
            "Containers that run",
            None,
            MetricType::Gauge,
        )?;
        count.encode(family)?;
        if self.0.is_empty() {
            // A family without a sample says nothing.
            return Ok(());
        }
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, row, status) in self.rows() {
                if let Some(value) = value(row, status) {
                    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                    gauge.encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let help = "Operations refused since the container was made";
        let mut family = encoder.encode_descriptor("failcnt", help, None, MetricType::Counter)?;
        for (labels, row, _) in self.rows() {
            ConstCounter::new(row.failcnt).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What a series is told from others by.
type Labels = [(&'static str, String); 3];

impl Containers {
    fn rows(&self) -> impl Iterator<Item = (Labels, &Row, &Status)> {
        self.0.iter().flat_map(|container| {
            container.reading.rows.iter().map(|(resource, row)| {
                (labels(container, resource), row, &container.status[resource])
            })
        })
    }
}

fn labels(container: &Container, resource: Resource) -> Labels {
    [
        ("container", container.id.to_string()),
        ("resource", resource.to_string()),
        ("unit", resource.unit().to_string()),
    ]
}
