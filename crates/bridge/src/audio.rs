//! Changes to the audio on its way.
//!
//! Without a hook the base64 text passes as it came. With one it is decoded, changed and encoded
//! again. A hook works on mu-law bytes, 8,000 a second, and keeps nothing between two pieces: it
//! may see the next one on another worker.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::config::AudioChange;

pub(crate) mod mulaw;

pub use mulaw::Gain;

/// Changes pieces of audio.
///
/// Takes `&self`, since a piece must come out the same on whatever worker it is done. What needs a
/// memory (a filter, a compressor) does not belong here.
pub trait AudioHook: Send + Sync + 'static {
    /// Changes a piece of mu-law audio in place; its length must stay.
    fn apply(&self, mulaw: &mut [u8]);
}

/// The hook that a configuration asks for.
pub(crate) fn hook(change: AudioChange) -> Option<Arc<dyn AudioHook>> {
    if change.mute {
        return Some(Arc::new(Gain::mute()));
    }
    (change.gain_db != 0.0).then(|| Arc::new(Gain::new(change.gain_db)) as Arc<dyn AudioHook>)
}

/// Applies a hook to base64. What is not base64 passes as it came.
pub(crate) fn changed<'a>(hook: Option<&dyn AudioHook>, base64: &'a [u8]) -> Cow<'a, [u8]> {
    let Some(hook) = hook else {
        return Cow::Borrowed(base64);
    };
    let Ok(mut audio) = BASE64_STANDARD.decode(base64) else {
        return Cow::Borrowed(base64);
    };
    hook.apply(&mut audio);
    Cow::Owned(BASE64_STANDARD.encode(audio).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_hook_nothing_is_copied() {
        assert!(hook(AudioChange::default()).is_none());
        assert!(matches!(changed(None, b"//79"), Cow::Borrowed(b"//79")));
    }

    #[test]
    fn a_muted_leg_is_silent() {
        let mute = hook(AudioChange {
            mute: true,
            gain_db: 0.0,
        });
        assert_eq!(&*changed(mute.as_deref(), b"AAAA"), b"////");
        assert_eq!(&*changed(mute.as_deref(), b"no base64!"), b"no base64!");
    }
}
