//! holdline-wire
