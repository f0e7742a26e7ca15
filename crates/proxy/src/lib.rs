//! getrandom
