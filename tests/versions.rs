//! Several versions of a worker at once, as processes: who gets which calls, and that no caller notices.

mod canary;
mod crash;
mod line;
mod pinned;
mod schemas;
