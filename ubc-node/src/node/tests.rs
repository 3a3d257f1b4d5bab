use super::*;
use crate::{Description, Owned, Refusal};

#[test]
fn what_an_embedder_shares_between_threads_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Node>();
    shared::<Arc<Node>>();
    shared::<Owned>();
    shared::<Arc<Container>>();
    shared::<Subscription>();
    shared::<Description>();
    shared::<Refusal>();
    shared::<Options>();
    shared::<Create<'static>>();
    shared::<Adopt<'static>>();
    shared::<Error>();
}
