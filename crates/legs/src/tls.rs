//! TLS of listeners.
