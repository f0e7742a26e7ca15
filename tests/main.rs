//! Tests of whole processes: the real binary, real workers, real signals.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod caller_return;
mod chaos;
mod chart;
mod command_line;
mod conformance;
mod dashboard;
mod doctor;
mod edge_pause;
mod edge_rollout;
mod exchange;
mod grpc;
mod hold;
mod inputs;
mod kubernetes;
mod log;
mod long_call;
mod metrics;
mod model_leg;
mod operate;
mod pressure;
mod privacy;
mod probe;
mod reload;
mod security;
mod signatures;
mod stage;
mod streamdouble;
mod support;
mod tls;
mod tracing;
mod versions;
mod voice_call;
mod worker_loss;
