//! `session.hold`: what a caller hears, and for how long, while no worker can be had.

mod audio;
mod tones;

use std::{
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use self::audio::FILE_MAX;
use crate::{
    defaults,
    reader::{At, Outside},
    section::section,
    shape::Shape,
};

section! {
    /// What happens while no worker can be had.
    pub struct Hold: Default {
        /// After so long without a worker the caller hears the hold sound.
        pub after: Duration [Duration::ZERO..=Duration::from_secs(3_600)] = defaults::HOLD_AFTER,
        /// What the caller of a Twilio route hears then: `default` for a soft pair of tones, `off`,
        /// or a file of at most five minutes: raw mu-law at 8 kHz, or WAV with one channel at 8 kHz
        /// in mu-law or 16-bit PCM.
        pub sound: HoldSound = HoldSound::Default,
        /// After so long without a worker, or with none that got anything done, the caller is handed
        /// back to the carrier.
        pub give_up: Duration = defaults::GIVE_UP,
    }
}

/// What a held caller hears, over and over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HoldSound {
    /// Nothing.
    Off,
    /// A soft pair of tones every four seconds.
    Default,
    /// The sound of a file.
    File {
        /// Where it was read from.
        path: PathBuf,
        /// What it holds.
        audio: Audio,
    },
}

/// Mu-law at 8 kHz, one byte for each sample: a whole number of frames, and at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Audio(Arc<[u8]>);

impl HoldSound {
    /// The sound itself; `None` where there is to be none.
    #[must_use]
    pub fn audio(&self) -> Option<Audio> {
        match self {
            Self::Off => None,
            Self::Default => Some(Audio::new(tones::tones())),
            Self::File { audio, .. } => Some(audio.clone()),
        }
    }
}

impl Audio {
    /// Bytes of one frame: 20 ms.
    pub const FRAME: usize = 160;

    /// What is short of a whole frame is filled up with silence.
    fn new(mut samples: Vec<u8>) -> Self {
        let frames = samples.len().div_ceil(Self::FRAME).max(1);
        samples.resize(frames * Self::FRAME, audio::SILENCE);
        Self(samples.into())
    }

    /// The `number`th 20 ms, from 0; behind the last one it begins anew.
    #[must_use]
    pub fn frame(&self, number: u64) -> &[u8] {
        let frames = self.0.len() / Self::FRAME;
        let index = usize::try_from(number % frames as u64).unwrap_or(0) * Self::FRAME;
        &self.0[index..index + Self::FRAME]
    }

    /// How many frames there are before it begins anew.
    #[must_use]
    pub fn frames(&self) -> u64 {
        (self.0.len() / Self::FRAME) as u64
    }
}

/// Shows how long it is, not how it sounds.
impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames", self.frames())
    }
}

impl Shape for HoldSound {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let Some(text) = at.text().filter(|text| !text.is_empty()) else {
            let kind = at.node.kind();
            at.wrong(format!(
                "must be default, off or the name of a file, not {kind}"
            ));
            return None;
        };
        match text {
            "off" => return Some(Self::Off),
            "default" => return Some(Self::Default),
            _ => {}
        }
        let path = at.resolve(text);
        let samples = match at.outside() {
            Outside::Read(_) => read_file(&path).and_then(|bytes| audio::decode(&bytes)),
            Outside::Left => Ok(Vec::new()),
        };
        match samples {
            Ok(samples) => Some(Self::File {
                path,
                audio: Audio::new(samples),
            }),
            Err(why) => {
                at.wrong(format!(
                    "{} cannot be the hold sound: {why}",
                    path.display()
                ));
                None
            }
        }
    }

    fn schema((): &()) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn write(&self) -> serde_yaml::Value {
        match self {
            Self::Off => "off".into(),
            Self::Default => "default".into(),
            Self::File { path, .. } => path.display().to_string().into(),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // Never open what is no file: a named pipe would wait for its writer.
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() > FILE_MAX {
        return Err(format!("it has more than {FILE_MAX} bytes"));
    }
    Ok(bytes)
}
