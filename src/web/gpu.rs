//! Starts the graphics processor, and believes it only after it has computed the same as the processor.

use crate::error::{DeviceFault, Error, Result};
use crate::quant::{GpuForm, self_test, set_gpu_form};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// The device, proved. `software`: its adapter is a program.
///
/// # Errors
/// `device.unavailable` if it does not start, `device.self_test` if it computes something else.
pub async fn start(software: bool) -> Result<Device> {
    // The first touch of the GPU must be this asynchronous call: a tensor made earlier would start the device by blocking.
    let device = Device::wgpu_options().init_async().await.map_err(|e| Error::device(DeviceFault::Unavailable, format!("{e:?}")))?;
    match prove(&device, software).await {
        Ok(()) => Ok(device),
        Err(e @ Error::Device { .. }) => Err(e),
        Err(e) => Err(Error::device(DeviceFault::SelfTest, e)),
    }
}

/// Largest difference that the device may show on the probes, whose values are of order one.
const TOLERANCE: f32 = 1e-3;

/// Every own kernel, and a product and a softmax of burn's, against the host. A software adapter takes the kernels without
/// barriers; a GPU takes those that share a sum in a workgroup, and the others where it computes these wrongly.
async fn prove(device: &Device, software: bool) -> Result<()> {
    plain(device).await?;
    let forms = if software { [GpuForm::Threads].as_slice() } else { &[GpuForm::Split, GpuForm::Threads] };
    let mut last = Ok(());
    for form in forms {
        set_gpu_form(*form);
        match self_test(device).await?.into_iter().find(|(_, error)| error.is_nan() || *error > TOLERANCE) {
            None => return Ok(()),
            Some((name, error)) => last = Err(Error::device(DeviceFault::SelfTest, format!("{name} differs by {error} ({form:?})"))),
        }
        log::warn!("{last:?}");
    }
    last
}

/// The same plain computation on the device and on the CPU.
async fn plain(device: &Device) -> Result<()> {
    let values = |device: &Device| {
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<f32>>();
        let x = Tensor::<2>::from_data(TensorData::new(wave(3 * 64, 0.37), [3, 64]), device);
        let w = Tensor::<2>::from_data(TensorData::new(wave(64 * 96, 0.11), [64, 96]), device);
        softmax(x.matmul(w), 1)
    };
    let gpu = crate::analyze::read_back(values(device)).await?;
    let cpu = crate::analyze::read_back(values(&Device::flex())).await?;
    let worst = gpu.iter().zip(&cpu).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if gpu.len() == cpu.len() && worst <= TOLERANCE && gpu.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(Error::device(DeviceFault::SelfTest, format!("largest difference {worst} from the CPU")))
    }
}
