//! Where the command line computes.

use crate::error::{DeviceFault, Error, Result};
use burn::tensor::{Device, DeviceKind, Tensor};

/// The device of that name and its label for the report: `cpu`, `gpu`, or `auto` = the GPU if there is a real one.
///
/// # Errors
/// `device.unavailable` when a GPU is demanded and there is none.
pub fn choose(name: &str) -> Result<(Device, String)> {
    match name {
        "cpu" => Ok((Device::flex(), "cpu".into())),
        "gpu" => {
            gpu(DeviceKind::DefaultDevice).map(|d| (d, "gpu".into())).ok_or_else(|| Error::device(DeviceFault::Unavailable, "no adapter"))
        }
        // A software adapter would be slower than the CPU path: only a discrete GPU is taken unasked.
        _ => Ok(gpu(DeviceKind::DiscreteGpu(0)).map_or_else(|| (Device::flex(), "cpu".into()), |d| (d, "gpu".into()))),
    }
}

/// The device, if it starts and computes. Without a driver the runtime panics instead of answering, hence the guard.
fn gpu(kind: DeviceKind) -> Option<Device> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let device = std::panic::catch_unwind(|| {
        let device = Device::wgpu_options().device_kind(kind).init().ok()?;
        let sum = Tensor::<1>::ones([4], &device).sum().into_scalar::<f32>();
        (sum == 4.0).then_some(device)
    });
    std::panic::set_hook(hook);
    device.ok().flatten()
}
