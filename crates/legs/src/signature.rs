//! `X-Twilio-Signature`: proof that an upgrade comes from Twilio.
