//! Two threads in every interleaving.

use loom::sync::Arc;
use loom::thread;

/// How often a thread is interrupted where it need not be. Without a bound
/// all models but the last finish within a second too, and that one takes
/// minutes.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// Runs `a` and `b` side by side in every interleaving, then `after`.
///
/// Twice, with the roles of the first and the second thread exchanged: loom
/// remembers only the last access to a word, so a thread's own load hides
/// from it that its exchange also races with an earlier load elsewhere. With
/// one order alone half of these models cannot fail.
pub(crate) fn race<S, A, B>(setup: fn() -> S, a: fn(&S) -> A, b: fn(&S) -> B, after: fn(&S, A, B))
where
    S: 'static,
    A: 'static,
    B: 'static,
{
    explore(move || {
        let shared = Arc::new(setup());
        let other = Arc::clone(&shared);
        let second = thread::spawn(move || b(&other));
        let first = a(&shared);
        after(&shared, first, second.join().unwrap());
    });
    explore(move || {
        let shared = Arc::new(setup());
        let other = Arc::clone(&shared);
        let second = thread::spawn(move || a(&other));
        let first = b(&shared);
        after(&shared, second.join().unwrap(), first);
    });
}
