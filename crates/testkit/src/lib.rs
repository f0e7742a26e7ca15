//! Stand-ins for both vendors of a phone call, which judge what they see.
//!
//! Why: "the caller heard nothing of the deploy" is only worth something when it is
//! measured. Every 20 ms of audio that one of the simulators sends carries an identity in
//! its samples ([`identity`]), so that the other simulator can say exactly which frames
//! arrived, which are missing, doubled or out of order, and how long each took, from the
//! audio alone and without the help of what stands between.
//!
//! * [`twilio::TwilioCaller`] is a caller behind Twilio Media Streams: real speech on
//!   absolute 20 ms deadlines, a playback clock, marks, `clear`, reconnects.
//! * [`openai::OpenAiSim`] is an OpenAI Realtime server: voice activity detection in audio
//!   time, responses at many times real time, tools, truncation, faults.
//! * [`judge::account`] compares the records of both and says what became of every frame.
//! * [`stage::Stage`] puts an edge and workers, as processes, between the two.
//!
//! The simulators run with tokio and are meant to be used a hundred at a time in one process: one
//! task per socket, none per frame. The protocol cores inside know no sockets and no clock.

pub mod identity;
pub mod judge;
pub mod ledger;
pub mod mulaw;
mod net;
pub mod openai;
pub mod prng;
pub mod process;
pub mod speech;
pub mod stage;
pub mod tls;
pub mod traffic;
pub mod twilio;
pub mod wav;
