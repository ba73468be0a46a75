//! Reader of the photo pack: `faces.csv`, `landmarks.bin` + `landmarks.json`, `img/`.
//!
//! Rows whose source begins with `voteview/` are left out: the licences of those photos are unclear. Splits come with the
//! pack and are by person. Photos are decoded when asked for; landmarks (a few MB) stay in memory.

use std::path::{Path, PathBuf};

use crate::error::{Error, ImageFault, Result};
use crate::fict::mesh::POINTS;
use crate::image::Rgb8;

/// Which persons a photo may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    /// The word of `faces.csv`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "train" => Some(Self::Train),
            "val" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Where the pixels of a photo are.
#[derive(Debug, Clone)]
enum Pixels {
    File(PathBuf),
    /// A file of unknown origin: decoded under limits, turned upright.
    Upright(PathBuf),
    Memory(Rgb8),
}

/// One photo of one person, with its mesh.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Path inside the pack.
    pub file: String,
    /// Person id of the pack.
    pub person: String,
    /// `owner/repo:path` of the original.
    pub source: String,
    pub split: Split,
    /// 478 points `[x, y, z]` in pixels of the photo, origin at its top left corner.
    pub mesh: Vec<[f32; 3]>,
    pixels: Pixels,
}

impl Photo {
    /// A photo held in memory (for tests and generated material).
    pub fn in_memory(person: &str, split: Split, rgb: Rgb8, mesh: Vec<[f32; 3]>) -> Self {
        Self { file: format!("memory/{person}"), person: person.into(), source: "memory".into(), split, mesh, pixels: Pixels::Memory(rgb) }
    }

    /// A photo outside of a pack: its person is its file. `mesh` is in pixels of the upright photo.
    pub fn upright(name: &str, path: &Path, split: Split, mesh: Vec<[f32; 3]>) -> Self {
        let pixels = Pixels::Upright(path.to_path_buf());
        Self { file: name.into(), person: name.into(), source: "folder".into(), split, mesh, pixels }
    }

    /// Decodes the photo.
    ///
    /// # Errors
    /// `Io` when the file cannot be read, `Image` when it cannot be decoded.
    pub fn load(&self) -> Result<Rgb8> {
        match &self.pixels {
            Pixels::Memory(rgb) => Ok(rgb.clone()),
            Pixels::Upright(path) => {
                let bytes = std::fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
                Ok(crate::image::decode(&bytes)?.rgb)
            }
            Pixels::File(path) => {
                let bytes = std::fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
                let picture = ::image::load_from_memory(&bytes)
                    .map_err(|e| Error::image(ImageFault::Corrupt, format!("{}: {e}", self.file)))?
                    .into_rgb8();
                let (width, height) = (picture.width() as usize, picture.height() as usize);
                Ok(Rgb8 { width, height, data: picture.into_raw() })
            }
        }
    }

    /// Box of the mesh points, `[x0, y0, x1, y1]` in photo pixels.
    pub fn mesh_box(&self) -> [f32; 4] {
        self.mesh
            .iter()
            .take(468)
            .fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |b, p| [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])])
    }
}

/// The usable photos, in the order of `faces.csv`.
#[derive(Debug, Clone, Default)]
pub struct Pack {
    pub photos: Vec<Photo>,
    /// Rows left out for their unclear licence.
    pub left_out: usize,
}

#[derive(serde::Deserialize)]
struct Landmarks {
    file: String,
    shape: [usize; 3],
    scale: f32,
    offset: f32,
}

impl Pack {
    /// Opens the pack in `dir`.
    ///
    /// # Errors
    /// `Io` when a file is missing, has the wrong size or a column is missing or malformed.
    pub fn open(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))
        };
        let meta: Landmarks = serde_json::from_slice(&read("landmarks.json")?).map_err(|e| Error::Io(format!("landmarks.json: {e}")))?;
        let raw = read(&meta.file)?;
        let [rows, points, dims] = meta.shape;
        if points != POINTS || dims != 3 || raw.len() != rows * points * dims * 2 {
            return Err(Error::Io(format!("{}: not {rows} meshes of {POINTS} points", meta.file)));
        }
        let table = String::from_utf8(read("faces.csv")?).map_err(|e| Error::Io(format!("faces.csv: {e}")))?;
        let mut lines = table.lines();
        let header = csv_fields(lines.next().unwrap_or_default());
        let column = |name: &str| header.iter().position(|h| h == name).ok_or_else(|| Error::Io(format!("faces.csv: no column {name}")));
        let (file, person, source, split) = (column("file")?, column("person")?, column("source")?, column("split")?);
        let mut pack = Self::default();
        let mut n = 0;
        for (row, line) in lines.filter(|l| !l.is_empty()).enumerate() {
            n += 1;
            let fields = csv_fields(line);
            let field = |i: usize| fields.get(i).cloned().ok_or_else(|| Error::Io(format!("faces.csv: row {} is short", row + 2)));
            let mesh = raw
                .get(row * POINTS * 6..(row + 1) * POINTS * 6)
                .ok_or_else(|| Error::Io(format!("faces.csv: row {} has no landmarks", row + 2)))?
                .chunks_exact(6)
                .map(|p| {
                    let v = |i: usize| f32::from(u16::from_le_bytes([p[i], p[i + 1]])) / meta.scale + meta.offset;
                    [v(0), v(2), v(4)]
                })
                .collect();
            if field(source)?.starts_with("voteview/") {
                pack.left_out += 1;
                continue;
            }
            let word = field(split)?;
            pack.photos.push(Photo {
                pixels: Pixels::File(dir.join(field(file)?)),
                file: field(file)?,
                person: field(person)?,
                source: field(source)?,
                split: Split::parse(&word).ok_or_else(|| Error::Io(format!("faces.csv: row {}: no split {word:?}", row + 2)))?,
                mesh,
            });
        }
        if n != rows {
            return Err(Error::Io(format!("faces.csv has {n} rows, landmarks.json says {rows}")));
        }
        Ok(pack)
    }

    /// Indices of the photos of a split.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.photos.len()).filter(|&i| self.photos[i].split == split).collect()
    }
}

/// Fields of one CSV line; quoted fields may hold commas and doubled quotes (no field of the pack holds a line break).
fn csv_fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes() {
        assert_eq!(csv_fields("a,\"b, c\",\"d \"\"e\"\"\",\r"), ["a", "b, c", "d \"e\"", ""]);
    }

    fn write_pack(dir: &Path, rows: &[(&str, &str)], meshes: usize) {
        std::fs::create_dir_all(dir).unwrap();
        let mut csv = String::from("file,person,source,licence,split\n");
        for (i, (source, split)) in rows.iter().enumerate() {
            csv += &format!("img/{i}.jpg,p{i},{source},x,{split}\n");
        }
        std::fs::write(dir.join("faces.csv"), csv).unwrap();
        std::fs::write(dir.join("landmarks.bin"), vec![0u8; meshes * POINTS * 6]).unwrap();
        let json = format!(r#"{{"file":"landmarks.bin","shape":[{},478,3],"scale":64.0,"offset":-256.0}}"#, rows.len());
        std::fs::write(dir.join("landmarks.json"), json).unwrap();
    }

    #[test]
    fn unclear_licences_are_left_out_and_damage_is_told() {
        let dir = std::env::temp_dir().join(format!("facext-pack-{}", std::process::id()));
        write_pack(&dir, &[("a/b:c", "train"), ("voteview/x:y", "train"), ("a/b:d", "test")], 3);
        let pack = Pack::open(&dir).unwrap();
        assert_eq!((pack.photos.len(), pack.left_out), (2, 1));
        assert_eq!(pack.photos[1].person, "p2");
        assert_eq!(pack.of_split(Split::Test), [1]);
        assert_eq!(pack.photos[0].mesh[0], [-256.0; 3]);
        assert!(pack.photos[0].load().is_err(), "no such file");
        write_pack(&dir, &[("a/b:c", "train")], 2);
        assert!(Pack::open(&dir).is_err(), "landmarks of the wrong size");
        write_pack(&dir, &[("a/b:c", "holiday")], 1);
        assert!(Pack::open(&dir).is_err(), "unknown split");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
