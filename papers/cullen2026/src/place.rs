//! Where chains of quadratic networks run: on the host, or on a device through libtorch, where their rows stay.

use ndarray::ArrayView2;
#[cfg(feature = "tch")]
use slt_models::{Device, DeviceKind, NetworkTarget};
#[cfg(not(feature = "tch"))]
use slt_report::SettingsError;
use slt_sampler::targets::QuadraticNetwork;
use slt_sampler::{Dynamics, Estimates, Sampling};

use crate::ensemble::chains;

/// The host, or a device. All else (training, second orders, small networks) runs on the host.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    #[cfg(feature = "tch")]
    device: Option<Device>,
}

impl Place {
    /// The place of that name: `cpu` for the host, `tch` or `cuda`.
    pub fn open(name: &str) -> anyhow::Result<Self> {
        #[cfg(feature = "tch")]
        {
            let kind: DeviceKind = name.parse()?;
            let device = kind.open()?;
            Ok(match kind {
                DeviceKind::Cpu => Self::host(),
                DeviceKind::Tch | DeviceKind::Cuda => Self {
                    name: name.to_owned(),
                    device: Some(device),
                },
            })
        }
        #[cfg(not(feature = "tch"))]
        match name {
            "cpu" => Ok(Self::host()),
            "tch" | "cuda" => anyhow::bail!(
                "device '{name}' needs libtorch, and this program was built without it; build with `--features tch` (`make reproduce DEVICE={name}` does)"
            ),
            _ => Err(SettingsError::Device(name.to_owned()).into()),
        }
    }

    fn host() -> Self {
        Self {
            name: "host".to_owned(),
            #[cfg(feature = "tch")]
            device: None,
        }
    }

    /// What records of chains are filed under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`chains`], here.
    pub fn chains(
        &self,
        label: &str,
        target: &QuadraticNetwork,
        anchors: ArrayView2<f64>,
        dynamics: &[Dynamics],
        sampling: &Sampling,
        from_stream: u64,
    ) -> anyhow::Result<Estimates> {
        #[cfg(feature = "tch")]
        if let Some(device) = &self.device {
            let target = NetworkTarget::of_quadratic_network(target, device.clone())?;
            return chains(label, &target, anchors, dynamics, sampling, from_stream);
        }
        chains(label, target, anchors, dynamics, sampling, from_stream)
    }
}
