//! `facext fict`: the concept tree itself, and where its leaves lie on the faces of a photo.

use crate::error::{Error, Result};
use crate::face::{Crop, Face, FaceFinder, Faces};
use crate::fict::{self, Depth, Seen, leaves::LEAVES};
use crate::image::{self, Mask, Picture, Rle};
use crate::native::annotate::nets::{Matting, Nets, matte};
use crate::native::{files, legend};
use crate::weights::Vars;
use burn::tensor::Device;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `fict`.
#[derive(clap::Args)]
pub struct Args {
    /// A JPEG, PNG or WebP file with a face.
    #[arg(required_unless_present = "tree")]
    pub photo: Option<PathBuf>,
    /// Print the tree itself instead.
    #[arg(long, conflicts_with_all = ["photo", "out", "person"])]
    pub tree: bool,
    /// Print JSON on standard output: the tree, or every leaf's mask as a COCO run-length encoding.
    #[arg(long)]
    pub json: bool,
    /// Draw the leaves of the largest face, with a legend, into this PNG file.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Where the person is: a picture of the upright photo's size, white on the person (a matte). Without it hair, ears, neck and
    /// clothes are where an ordinary head has them.
    #[arg(long)]
    pub person: Option<PathBuf>,
    /// Lets MODNet say where the person is: its file; without one the file that ./build.sh nets has fetched. Where it fails, the
    /// ordinary outline stands in.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = "cache", conflicts_with_all = ["person", "tree"])]
    pub matte: Option<PathBuf>,
    /// Side of the crop whose masks are printed, pixels.
    #[arg(long, default_value_t = 448, value_parser = clap::value_parser!(u32).range(64..=2048))]
    pub side: u32,
    /// Folder of weights; the face finder's are used.
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
}

/// What `--json` prints of a photo.
#[derive(Serialize)]
struct Sheet {
    /// Faces from left to right; empty where none is usable.
    faces: Vec<FaceLeaves>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct FaceLeaves {
    /// The square that the masks cover.
    crop: Square,
    /// What says where the person is: `matte` (given, or a network's) or `outline`.
    person: &'static str,
    /// All leaves in table order, also those without a pixel.
    leaves: Vec<Leaf>,
}

/// A square of the photo: left, top and size in photo pixels, side in mask pixels.
#[derive(Serialize)]
struct Square {
    x: f32,
    y: f32,
    size: f32,
    side: usize,
}

#[derive(Serialize)]
struct Leaf {
    id: &'static str,
    parent: Option<&'static str>,
    en: &'static str,
    zh: &'static str,
    /// Pixels of the crop.
    area: usize,
    rle: Rle,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Io`], `image.*`, `weights.*`, [`Error::Face`]; [`Error::Request`] for a matte of another size, a file that is no known
/// network, or a picture asked of a photo without usable face.
pub fn run(args: &Args) -> Result<()> {
    let Some(photo) = args.photo.as_deref() else { return tree(args.json) };
    let picture = decode(photo)?;
    let given = args.person.as_deref().map(|path| read_matte(path, &picture)).transpose()?;
    let net = Nets::open(args.matte.as_deref(), None, None)?.matting;
    let source = Source { given: given.as_ref(), net: net.as_deref() };
    let finder = FaceFinder::build(&Vars::stored(Arc::new(files::read(&args.weights)?.tensors), &Device::flex()).pp("face"))?;
    let (faces, reason) = match pollster::block_on(finder.find(&picture))? {
        Faces::Found(faces) => (faces, None),
        Faces::NoneUsable { reason, .. } => (Vec::new(), Some(reason.code())),
    };
    let side = args.side as usize;
    let found: Vec<FaceLeaves> = faces.iter().map(|face| measure(face, &picture, source, side)).collect::<Result<_>>()?;
    if args.json {
        say(&to_json(&Sheet { faces: found, reason })?)?;
    } else {
        say(&in_words(&found, reason))?;
    }
    let Some(out) = args.out.as_deref() else { return Ok(()) };
    let size = |f: &&Face| f.bbox.w.max(f.bbox.h);
    let Some(largest) = faces.iter().max_by(|a, b| size(a).total_cmp(&size(b))) else {
        return Err(Error::Request(format!("nothing to draw: no usable face ({})", reason.unwrap_or("none"))));
    };
    let crop = Crop::around(largest, &picture.rgb, legend::SIDE);
    let map = labels(largest, &crop, &picture, source)?.0;
    let png = image::png::encode_rgb(&legend::draw(&crop.pixels, &map))?;
    fs::write(out, png).map_err(|e| Error::Io(format!("{}: {e}", out.display())))
}

/// Prints the tree: an array of nodes, or one indented line a concept.
fn tree(json: bool) -> Result<()> {
    if json {
        return say(&to_json(&fict::nodes())?);
    }
    let depth = |id: &str| fict::TREE.iter().filter(|c| fict::is_within(id, c.id)).count() - 1;
    let line = |n: fict::Node| format!("{}{}  {}  {}{}\n", "  ".repeat(depth(n.id)), n.id, n.en, n.zh, if n.leaf { "" } else { "  ▾" });
    say(fict::nodes().into_iter().map(line).collect::<String>().trim_end())
}

fn decode(path: &Path) -> Result<Picture> {
    image::decode(&fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?)
}

fn read_matte(path: &Path, photo: &Picture) -> Result<Mask> {
    let mask = Mask::from_rgb(&decode(path)?.rgb);
    if (mask.width, mask.height) != (photo.rgb.width, photo.rgb.height) {
        let sizes = [mask.width, mask.height, photo.rgb.width, photo.rgb.height].map(|n| n.to_string());
        return Err(Error::Request(format!("a person of {}×{} pixels for a photo of {}×{}", sizes[0], sizes[1], sizes[2], sizes[3])));
    }
    Ok(mask)
}

/// What may say where the person is.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// A matte of the photo's size.
    given: Option<&'a Mask>,
    net: Option<&'a Matting>,
}

/// Leaf of every crop pixel, and whether a matte bounded the person.
///
/// # Errors
/// `model.failed`
fn labels(face: &Face, crop: &Crop, picture: &Picture, source: Source) -> Result<(Vec<u8>, bool)> {
    let place = |p: &[f32; 3]| {
        let [x, y] = crop.to_crop([p[0], p[1]]);
        [x, y, p[2]]
    };
    let mesh: Vec<[f32; 3]> = face.mesh.iter().map(place).collect();
    let given = source.given.map(|m| {
        let data = crop.mask_to_crop(m, crop.side).iter().map(|share| u8::from(*share >= 0.5)).collect();
        Mask { width: crop.side, height: crop.side, data }
    });
    let square = matte::Square { x: crop.x, y: crop.y, size: crop.size };
    let of_net = |net: &Matting| net.person(&picture.rgb, square, &fict::part_labels(&mesh, crop.side, crop.side), crop.side);
    let person = match (given, source.net) {
        (None, Some(net)) => of_net(net)?,
        (given, _) => given,
    };
    let brows = Some(fict::brow::lower_edges(&mesh, &crop.pixels));
    Ok((fict::leaf_labels(&mesh, &Seen { person: person.as_ref(), brows }, crop.side, crop.side), person.is_some()))
}

fn measure(face: &Face, picture: &Picture, source: Source, side: usize) -> Result<FaceLeaves> {
    let crop = Crop::around(face, &picture.rgb, side);
    let (map, matted) = labels(face, &crop, picture, source)?;
    let leaf = |(l, c): (usize, &'static fict::Concept)| {
        let mask = fict::mask_of(&map, 1 << l, side, side);
        Leaf { id: c.id, parent: c.parent, en: c.en, zh: c.zh, area: mask.area(), rle: Rle::encode(&mask) }
    };
    Ok(FaceLeaves {
        crop: Square { x: crop.x, y: crop.y, size: crop.size, side },
        person: if matted { "matte" } else { "outline" },
        leaves: Depth::Leaves.ends().enumerate().map(leaf).collect(),
    })
}

fn in_words(faces: &[FaceLeaves], reason: Option<&str>) -> String {
    if let Some(reason) = reason {
        return format!("No usable face: {}.", reason.replace('_', " "));
    }
    let mut text = String::new();
    for (i, f) in faces.iter().enumerate() {
        let seen = f.leaves.iter().filter(|l| l.area > 0).count();
        let c = &f.crop;
        text += &format!("Face {}: crop of {:.0} px at {:.0},{:.0}; {seen} of {LEAVES} leaves show\n", i + 1, c.size, c.x, c.y);
        for l in &f.leaves {
            text += &format!("  {:5.2} %  {}  {}\n", 100.0 * l.area as f32 / (c.side * c.side) as f32, l.id, l.en);
        }
    }
    text.trim_end().to_string()
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::Io(e.to_string()))
}

/// One text on standard output. A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Io(e.to_string())),
        _ => Ok(()),
    }
}
