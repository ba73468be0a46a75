//! The one error type. A variant is a stage of the pipeline; a fault is what went wrong there.
//!
//! Every fault has a stable code (`image.truncated`, `weights.hash`, …): reports, exit codes and the page depend on
//! codes, never on the wording. The wording here is for developers and the command line; the page owns its own.

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by stage. See [`Error::code`] for the stable codes.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The bytes are not a picture that can be analysed.
    #[error("{}: {detail}", fault.words())]
    Image { fault: ImageFault, detail: String },
    /// The weights are missing, damaged, or not the ones the manifest names.
    #[error("{}: {detail}", fault.words())]
    Weights { fault: WeightsFault, detail: String },
    /// A face stage failed (not "no face", which is a result, not an error).
    #[error("face stage failed: {0}")]
    Face(String),
    /// Tokenizer or grammar.
    #[error("text stage failed: {0}")]
    Text(String),
    /// The model was asked for something that its configuration cannot do.
    #[error("model stage failed: {0}")]
    Model(String),
    /// The compute device is absent, wrong or lost.
    #[error("{}: {detail}", fault.words())]
    Device { fault: DeviceFault, detail: String },
    /// What the caller asked for makes no sense (an unknown region, a box outside the photo).
    #[error("bad request: {0}")]
    Request(String),
    /// What this program does not answer, as a matter of principle.
    #[error("not answered: {0}")]
    OffLimits(String),
    /// The caller stopped the work.
    #[error("stopped")]
    Cancelled,
    /// Reading or writing files.
    #[error("input/output failed: {0}")]
    Io(String),
}

macro_rules! faults {
    ($(#[$m:meta])* $name:ident, $stage:literal { $($(#[$vm:meta])* $v:ident = $code:literal, $words:literal;)+ }) => {
        $(#[$m])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vm])* $v,)+ }
        impl $name {
            /// Stable code, `stage.fault`.
            pub fn code(self) -> &'static str { match self { $(Self::$v => concat!($stage, ".", $code),)+ } }
            /// One English phrase for logs and the command line.
            pub fn words(self) -> &'static str { match self { $(Self::$v => $words,)+ } }
        }
    };
}

faults! {
    /// Faults of the image stage.
    ImageFault, "image" {
        Empty = "empty", "the file is empty";
        TooManyBytes = "too_many_bytes", "the file is larger than the limit";
        NotAnImage = "not_an_image", "the file is not a picture";
        Unsupported = "unsupported", "this kind of picture is not supported";
        TooLarge = "too_large", "the picture has more pixels than the limit";
        Truncated = "truncated", "the picture ends too early";
        Corrupt = "corrupt", "the picture is damaged";
    }
}

faults! {
    /// Faults of the weights stage.
    WeightsFault, "weights" {
        Manifest = "manifest", "the manifest cannot be read";
        Version = "version", "these weights are for another version of the program";
        MissingShard = "missing_shard", "a shard of the weights is missing";
        Size = "size", "a shard of the weights has the wrong size";
        Hash = "hash", "a shard of the weights is damaged";
        Format = "format", "a shard of the weights cannot be parsed";
        MissingTensor = "missing_tensor", "a tensor is missing from the weights";
        Shape = "shape", "a tensor has the wrong shape";
        NotFinite = "not_finite", "a tensor holds values that are not finite";
    }
}

faults! {
    /// Faults of the compute device.
    DeviceFault, "device" {
        Unavailable = "unavailable", "the compute device is not available";
        Lost = "lost", "the compute device was lost";
        SelfTest = "self_test", "the compute device computes wrong numbers";
    }
}

impl Error {
    /// Stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Image { fault, .. } => fault.code(),
            Self::Weights { fault, .. } => fault.code(),
            Self::Device { fault, .. } => fault.code(),
            Self::Face(_) => "face.failed",
            Self::Text(_) => "text.failed",
            Self::Model(_) => "model.failed",
            Self::Request(_) => "request.bad",
            Self::OffLimits(_) => "request.off_limits",
            Self::Cancelled => "cancelled",
            Self::Io(_) => "io.failed",
        }
    }

    /// An image fault with its detail.
    pub fn image(fault: ImageFault, detail: impl std::fmt::Display) -> Self {
        Self::Image { fault, detail: detail.to_string() }
    }

    /// A weights fault with its detail (name the shard or tensor).
    pub fn weights(fault: WeightsFault, detail: impl std::fmt::Display) -> Self {
        Self::Weights { fault, detail: detail.to_string() }
    }

    /// A device fault with its detail.
    pub fn device(fault: DeviceFault, detail: impl std::fmt::Display) -> Self {
        Self::Device { fault, detail: detail.to_string() }
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e.to_string())
    }
}
