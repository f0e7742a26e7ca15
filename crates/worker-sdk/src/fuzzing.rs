//! A door for the project's fuzz targets, which try the edge's messages without a connection. Not
//! part of what this crate promises: it may change in any release.

use std::sync::Arc;

use holdline_wire::v1::{self, serve_request::Message};

use crate::{
    Worker,
    attachment::{Attachment, Progress},
    call::Beginning,
};

/// Takes a worker through what an edge says on one stream, as far as that makes sense, and returns
/// its commits.
pub fn attachment<W: Worker>(
    worker: W,
    requests: impl IntoIterator<Item = v1::ServeRequest>,
) -> Vec<v1::Commit> {
    let mut said = requests.into_iter().filter_map(|request| request.message);
    let mut commits = Vec::new();
    let (Some(Message::Offer(offer)), Some(Message::Attach(attach))) = (said.next(), said.next())
    else {
        return commits;
    };
    let schema = worker.describe().writes_schema;
    let beginning = Beginning {
        offer,
        attach,
        schema,
    };
    let Ok((mut attachment, progress)) = Attachment::attach(Arc::new(worker), beginning) else {
        return commits;
    };
    let mut note = |progress: Progress| {
        let steps = progress.steps.into_iter();
        commits.extend(steps.filter_map(|step| step.commit));
        progress.failure.is_none()
    };
    let mut goes_on = note(progress);
    while goes_on && let Some(Message::Inputs(inputs)) = said.next() {
        goes_on = note(attachment.inputs(inputs.inputs));
    }
    commits
}
