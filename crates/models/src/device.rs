//! Where tensors live: the one file that knows which backends there are.

use std::str::FromStr;

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

/// A device by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// burn's own CPU backend: no system library.
    Cpu,
    /// libtorch on the CPU.
    Tch,
    /// libtorch on the first CUDA GPU.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device of this name.
    #[error("device '{0}' is unknown; expected cpu, tch or cuda")]
    Unknown(String),
    /// The program was built without libtorch.
    #[error(
        "device '{0}' needs libtorch, and this program was built without it; build with `--features tch` (`make reproduce DEVICE={0}` does)"
    )]
    NotBuilt(DeviceKind),
    /// There is no CUDA GPU that libtorch can use.
    #[error(
        "device 'cuda' is not there: libtorch sees no GPU ({0}); use DEVICE=cpu or DEVICE=tch, or put a CUDA build of libtorch first in LD_LIBRARY_PATH"
    )]
    NoGpu(String),
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Tch => "tch",
            Self::Cuda => "cuda",
        })
    }
}

impl FromStr for DeviceKind {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        [Self::Cpu, Self::Tch, Self::Cuda]
            .into_iter()
            .find(|kind| kind.to_string() == name)
            .ok_or_else(|| DeviceError::Unknown(name.to_owned()))
    }
}

impl DeviceKind {
    /// The device itself, after a check that it works.
    ///
    /// # Errors
    /// [`DeviceError`] where the program was built without libtorch, or has no GPU.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Tch | Self::Cuda => libtorch(self),
        }
    }
}

#[cfg(not(feature = "tch"))]
fn libtorch(kind: DeviceKind) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(kind))
}

#[cfg(feature = "tch")]
#[allow(deprecated)] // burn 0.22 is the last line with burn-tch, and pinned for it
fn libtorch(kind: DeviceKind) -> Result<Device, DeviceError> {
    if kind == DeviceKind::Tch {
        return Ok(Device::libtorch());
    }
    let n = tch::Cuda::device_count();
    if n < 1 {
        return Err(DeviceError::NoGpu(format!("{n} CUDA devices")));
    }
    Ok(Device::libtorch_cuda(0usize))
}

/// Whether it is a GPU.
pub(crate) fn is_gpu(device: &Device) -> bool {
    DeviceKind::Cuda.open().is_ok_and(|gpu| gpu == *device)
}

/// Precision of a network's arithmetic. Parameters are kept in `f64` in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl Precision {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!("tch".parse(), Ok(DeviceKind::Tch));
        assert_eq!(
            "tpu".parse::<DeviceKind>(),
            Err(DeviceError::Unknown("tpu".to_owned()))
        );
        assert!(DeviceKind::Cpu.open().is_ok());
    }

    #[cfg(not(feature = "tch"))]
    #[test]
    fn libtorch_is_not_built_in() {
        let error = DeviceKind::Cuda.open().expect_err("built without libtorch");
        assert_eq!(error, DeviceError::NotBuilt(DeviceKind::Cuda));
        assert!(error.to_string().contains("--features tch"));
    }
}
