//! A worker that does what the caller's frames say, one instruction a line.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use holdline_worker::{
    Call, Description, Input, Job, JobError, JobResult, Payload, Worker, WorkerError,
};
use tokio::sync::Semaphore;

/// What tests look at, and hold in their hands.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) description: Description,
    /// Jobs that were begun: key, epoch, attempt.
    pub(crate) begun: Arc<Mutex<Vec<(String, u64, u32)>>>,
    /// Jobs named `wait` are done one for each permit.
    pub(crate) waiting: Arc<Semaphore>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            description: Description::new("script-1"),
            begun: Arc::default(),
            waiting: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn begun(&self) -> Vec<(String, u64, u32)> {
        self.begun.lock().unwrap().clone()
    }

    fn obey(&self, call: &mut Call, instruction: &str) -> Result<(), WorkerError> {
        let mut words = instruction.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        match word() {
            "put" => call.put(word(), word())?,
            "fill" => call.raw_put(word(), vec![b'x'; word().parse()?])?,
            "delete" => {
                call.delete(word())?;
            }
            "say" => call.send_text("caller", word().to_owned()),
            "blob" => call.send_text("caller", "x".repeat(word().parse()?)),
            "blobs" => {
                let (count, bytes): (usize, usize) = (word().parse()?, word().parse()?);
                for _ in 0..count {
                    call.send_text("caller", "x".repeat(bytes));
                }
            }
            "open" => call.open_leg(word(), word(), [].into()),
            "close" => call.close_leg(word(), 1_000, ""),
            "to" => call.send_text(word(), word().to_owned()),
            "timer" => call.set_timer(word(), Duration::from_millis(word().parse()?)),
            "cancel" => call.cancel_timer(word()),
            "spawn" => {
                let key = call.spawn(word(), word().to_owned())?;
                call.send_text("caller", format!("spawned {key}"));
            }
            "when" => call.send_text("caller", call.received_unix_us().to_string()),
            "facts" => {
                let sid = call.leg("caller").unwrap().attributes["stream_sid"].clone();
                let facts = format!(
                    "{} {} {} {sid}",
                    call.key(),
                    call.epoch(),
                    call.attributes()["call_sid"]
                );
                call.send_text("caller", facts);
            }
            "fail" => return Err(WorkerError::new("as told")),
            "panic" => panic!("as told"),
            other => return Err(WorkerError::new(format!("unknown instruction {other}"))),
        }
        Ok(())
    }
}

impl Worker for Script {
    /// The value of `name`, as it was at attach.
    type Session = String;

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn attach(&self, call: &mut Call) -> Result<String, WorkerError> {
        if call.raw_get("poison")?.is_some() {
            return Err(WorkerError::new("poisoned state"));
        }
        if call.state_schema() == 1 && self.description.writes_schema == 2 {
            call.put("converted", &true)?;
        }
        Ok(call.get("name")?.unwrap_or_default())
    }

    fn handle(&self, name: &mut String, call: &mut Call, input: Input) -> Result<(), WorkerError> {
        match input {
            Input::Frame(frame) => match &frame.payload {
                Payload::Text(_) => {
                    let script = frame.payload.as_str().unwrap();
                    script.lines().try_for_each(|line| self.obey(call, line))
                }
                Payload::Binary(_) => {
                    call.send_text("caller", name.clone());
                    Ok(())
                }
            },
            Input::JobDone(done) => {
                let result = match &done.result {
                    Ok(bytes) => String::from_utf8(bytes.to_vec())?,
                    Err(error) => error.to_string(),
                };
                call.send_text("caller", format!("{} {}: {result}", done.name, call.key()));
                match result.strip_prefix("do ") {
                    Some(instruction) => self.obey(call, instruction),
                    None => Ok(()),
                }
            }
            other => {
                call.send_text("caller", format!("{other:?}"));
                Ok(())
            }
        }
    }

    async fn perform(&self, job: Job) -> JobResult {
        let begun = (job.key().to_string(), job.epoch(), job.attempt());
        self.begun.lock().unwrap().push(begun);
        match job.name() {
            "return" => Ok(job.payload().clone()),
            "wait" => {
                self.waiting.acquire().await.unwrap().forget();
                Ok(Bytes::from("waited"))
            }
            "fail" => Err(JobError::failed("as told")),
            "panic" => panic!("as told"),
            other => Err(JobError::unknown(other)),
        }
    }
}
