//! Measures the face stage on a folder of photos: `face_pack WEIGHTS_DIR (PHOTO..)` prints one JSON line a photo with the
//! milliseconds, faces and meshes, for a script to compare with a reference. Nothing of it is committed.

use burn::tensor::Device;
use facext::face::{FaceFinder, Faces};
use facext::image::Rgb8;
use facext::weights::Vars;
use std::path::Path;
use std::sync::Arc;
use web_time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("the package's weights directory");
    let weights = facext::native::convert::facemesh::facemesh(Path::new(&dir)).expect("convertible weights");
    let mut finder = FaceFinder::build(&Vars::stored(Arc::new(weights), &Device::flex()).pp("face")).expect("networks");
    if std::env::var_os("ANY_BLUR").is_some() {
        finder = finder.with_limits(facext::face::Limits { sharpest_blur: 0.0, second_look: false, ..Default::default() });
    } else if std::env::var_os("ONE_LOOK").is_some() {
        finder = finder.with_limits(facext::face::Limits { second_look: false, ..Default::default() });
    }
    for path in args {
        let rgb = image::open(&path).expect("a photo").into_rgb8();
        let rgb = Rgb8 { width: rgb.width() as usize, height: rgb.height() as usize, data: rgb.into_raw() };
        let start = Instant::now();
        let faces = pollster::block_on(finder.find_in(&rgb)).expect("readable outputs");
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let out = match faces {
            Faces::NoneUsable { reason, detail } => {
                serde_json::json!({ "path": path, "ms": ms, "none": reason.code(), "detail": detail })
            }
            Faces::Found(faces) => {
                let list: Vec<_> = faces
                    .iter()
                    .map(|f| {
                        serde_json::json!({
                            "box": [f.bbox.x, f.bbox.y, f.bbox.w, f.bbox.h], "score": f.score, "sharpness": f.sharpness,
                            "warnings": f.warnings, "mesh": f.mesh.iter().map(|p| [p[0], p[1]]).collect::<Vec<_>>(),
                        })
                    })
                    .collect();
                serde_json::json!({ "path": path, "ms": ms, "size": [rgb.width, rgb.height], "faces": list })
            }
        };
        println!("{out}");
    }
}
