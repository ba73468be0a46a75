//! The whole model at its smallest: it builds from a seed, its parameters can be stored and come back as the same model, every
//! task answers in the promised shapes, and a training run that was interrupted ends where an uninterrupted one ends.
//!
//! Needs no weights and no photos, but for the language stage: `tokenizer.json` of `weights/` (skipped where absent).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use facext::config::ModelConfig;
use facext::fict;
use facext::image::Rgb8;
use facext::model::fifa::{Fifa, Language};
use facext::model::lm_cache::KvCache;
use facext::model::region::RegionMask;
use facext::model::states::Readout;
use facext::model::tasks::Evidence;
use facext::model::vision::{Vision, crops_to_tensor};
use facext::native::annotate::{Pack, Photo, RecipeSet, Sampler, Split};
use facext::native::convert::is_frozen;
use facext::native::export::export;
use facext::native::train::{Args, cut, language, traces, vision};
use facext::text::template::{Layout, Prompt};
use facext::weights::{TensorMap, Vars};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn tiny() -> (ModelConfig, Fifa) {
    let cfg = ModelConfig::tiny();
    let fifa = Fifa::build(&cfg, &Vars::random(5, &Device::flex())).unwrap();
    (cfg, fifa)
}

fn crop(side: usize) -> Tensor<4> {
    let pixels: Vec<u8> = (0..side * side * 3).map(|i| (((i / 3 % side) * 3 + i / 3 / side * 2 + i % 3 * 40) % 256) as u8).collect();
    crops_to_tensor(&[&pixels], side, &Device::flex())
}

/// The upper left quarter, as cells of the crop.
fn quarter(side: usize) -> RegionMask {
    let mask: Vec<u8> = (0..side * side).map(|i| u8::from(i % side < side / 2 && i / side < side / 2)).collect();
    RegionMask::from_crop_mask(&mask, side)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec::<f32>().unwrap()
}

/// A prompt of made-up text around the right number of placeholders.
fn prompt(cfg: &ModelConfig, region: bool) -> Prompt {
    let layout = Layout { visual: cfg.visual_tokens(), states: 2 + cfg.dec_states, region: usize::from(region) };
    let mut ids = vec![1, 9, 17, 40];
    let image_at = ids.len();
    ids.resize(image_at + layout.visual + layout.states + layout.region, cfg.lm_vocab as u32 + 3);
    let states_at = image_at + layout.visual;
    ids.extend([100, 200, 300]);
    Prompt { ids, image_at, states_at, region_at: region.then_some(states_at + layout.states) }
}

fn ask(fifa: &Fifa, evidence: &Evidence, region: Option<&RegionMask>) -> Readout {
    Readout::of(&fifa.vision.tasks(evidence, region.map(std::slice::from_ref)))
}

#[test]
fn parameters_stored_by_name_come_back_as_the_same_model() {
    let (cfg, fifa) = tiny();
    // A float matrix of the language model is one case of an enum, whose name burn puts into the path.
    let all: TensorMap =
        TensorMap(export(&fifa, "", |_| true).0.into_iter().map(|(n, t)| (n.trim_start_matches('.').replace(".Float.", "."), t)).collect());
    assert_eq!(all.0.values().map(|t| t.shape().iter().product::<usize>()).sum::<usize>(), fifa.num_params());
    // Exactly these names are asked for: none is missing, and with any one taken away the model does not build.
    let all = Arc::new(all);
    let again = Fifa::build(&cfg, &Vars::stored(all.clone(), &Device::flex())).unwrap();
    for name in all.0.keys() {
        let mut fewer = (*all).clone();
        fewer.0.remove(name);
        match Fifa::build(&cfg, &Vars::stored(Arc::new(fewer), &Device::flex())) {
            Err(e) => assert!(e.code() == "weights.missing_tensor" && e.to_string().contains(name.trim_end_matches(".b")), "{name}: {e}"),
            Ok(_) => panic!("{name} is not read"),
        }
    }
    let region = quarter(cfg.enc_image);
    for region in [None, Some(&region)] {
        let [a, b] = [&fifa, &again].map(|f| {
            let evidence = f.vision.encode(crop(cfg.enc_image));
            let out = f.vision.tasks(&evidence, region.map(std::slice::from_ref));
            let read = Readout::of(&out);
            let spliced = f.language.splice(&prompt(&cfg, region.is_some()), evidence.map, &read, &[3, 1, 2]).unwrap();
            let hidden = f.language.lm.forward(spliced, &mut KvCache::new(&cfg, 1, &Device::flex())).unwrap();
            [
                values(out.det),
                values(out.cls),
                values(out.presence),
                values(out.artifact),
                values(out.concepts),
                values(f.language.lm.logits(hidden)),
            ]
        });
        assert_eq!(a, b, "another model came back");
    }
}

#[test]
fn every_task_answers_in_its_shape_and_hears_the_region() {
    let (cfg, fifa) = tiny();
    let (g, k) = (cfg.grid(), cfg.dec_concepts);
    let evidence = fifa.vision.encode(crop(cfg.enc_image));
    assert_eq!(evidence.map.dims(), [1, cfg.enc_out, g, g]);
    assert_eq!(evidence.fine.dims(), [1, cfg.res_width, 4 * g, 4 * g]);
    let whole = fifa.vision.tasks(&evidence, None);
    assert_eq!((whole.det.dims(), whole.cls.dims(), whole.presence.dims()), ([1, 1], [1, cfg.dec_classes], [1, k]));
    assert_eq!((whole.artifact.dims(), whole.concepts.dims()), ([1, 1, 4 * g, 4 * g], [1, k, 4 * g, 4 * g]));
    assert_eq!(whole.states.dims(), [1, 3 + k, cfg.dec_dim]);
    assert!(whole.region.is_none() && whole.region_mask.is_none());

    let here = quarter(cfg.enc_image);
    let part = fifa.vision.tasks(&evidence, Some(std::slice::from_ref(&here)));
    assert_eq!(part.states.dims(), [1, 4 + k, cfg.dec_dim]);
    assert_eq!(part.region.as_ref().unwrap().dims(), [1, 1]);
    assert_eq!(part.region_mask.as_ref().unwrap().dims(), [1, 1, 4 * g, 4 * g]);
    let full = RegionMask::from_crop_mask(&vec![1; cfg.enc_image * cfg.enc_image], cfg.enc_image);
    let other = fifa.vision.tasks(&evidence, Some(std::slice::from_ref(&full)));
    assert_ne!(values(part.region.clone().unwrap()), values(other.region.unwrap()));

    let read = Readout::of(&whole);
    let (det, cls) = (values(read.det), values(read.cls));
    assert!((0.0..=1.0).contains(&det[0]) && (cls.iter().sum::<f32>() - 1.0).abs() < 1e-5);

    // A batch is its crops one by one.
    let two = fifa.vision.encode(Tensor::cat(vec![crop(cfg.enc_image), crop(cfg.enc_image).neg()], 0));
    let both = values(fifa.vision.tasks(&two, Some(&[here.clone(), full])).region.unwrap());
    assert!((both[0] - values(part.region.unwrap())[0]).abs() < 1e-4, "{both:?}");
}

#[test]
fn a_mirrored_face_shows_mirrored_traces() {
    let (cfg, fifa) = tiny();
    let here = fifa.vision.encode(crop(cfg.enc_image));
    let mirrored = fifa.vision.encode(crop(cfg.enc_image).flip([3]));
    let one_look = fifa.vision.join(crop(cfg.enc_image), fifa.vision.trunk.forward(crop(cfg.enc_image)));
    let gap = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap(values(here.det.clone()), values(mirrored.det)) < 1e-4);
    assert!(gap(values(here.cls), values(mirrored.cls)) < 1e-4);
    assert!(gap(values(here.artifact), values(mirrored.artifact.flip([3]))) < 1e-4);
    assert!(gap(values(here.det), values(one_look.det)) > 0.0);
}

#[test]
fn the_prompt_is_spliced_in_place_and_masks_come_back() {
    let (cfg, fifa) = tiny();
    let evidence = fifa.vision.encode(crop(cfg.enc_image));
    let here = quarter(cfg.enc_image);
    for region in [None, Some(&here)] {
        let read = ask(&fifa, &evidence, region);
        let prompt = prompt(&cfg, region.is_some());
        let spliced = fifa.language.splice(&prompt, evidence.map.clone(), &read, &[0, 5, 9]).unwrap();
        assert_eq!(spliced.dims(), [1, prompt.ids.len(), cfg.lm_dim]);
        // Text stays where it was, before and behind.
        let text = values(fifa.language.lm.embed(&prompt.ids).unwrap());
        let made = values(spliced.clone());
        let (d, t) = (cfg.lm_dim, prompt.ids.len());
        assert_eq!(made[..prompt.image_at * d], text[..prompt.image_at * d]);
        assert_eq!(made[(t - 3) * d..], text[(t - 3) * d..]);
        assert!((prompt.image_at..t - 3).all(|i| made[i * d..(i + 1) * d] != text[i * d..(i + 1) * d]), "a placeholder was left");

        let hidden = fifa.language.lm.forward(spliced, &mut KvCache::new(&cfg, 1, &Device::flex())).unwrap();
        let states = hidden.narrow(1, t - 3, 3).reshape([3, cfg.lm_dim]);
        let out = fifa.segment(&evidence, states);
        assert_eq!((out.masks.dims(), out.quality.dims()), ([1, 3, 4 * cfg.grid(), 4 * cfg.grid()], [1, 3]));
        assert!(values(out.masks).iter().all(|v| v.is_finite()));
    }
    // Placeholders that do not fit are refused, not misread.
    let read = ask(&fifa, &evidence, None);
    let splice = |p: &Prompt| fifa.language.splice(p, evidence.map.clone(), &read, &[0, 5, 9]);
    assert_eq!(splice(&prompt(&cfg, true)).unwrap_err().code(), "model.failed", "a region is asked for and none was read");
    let mut shifted = prompt(&cfg, false);
    shifted.states_at += 1;
    assert_eq!(splice(&shifted).unwrap_err().code(), "model.failed");
}

/// What a kept head saves must not change an answer: every question goes the same way, with the head computed now or before.
#[test]
fn a_kept_head_gives_the_same_bits() {
    let (cfg, fifa) = tiny();
    let evidence = fifa.vision.encode(crop(cfg.enc_image));
    let here = quarter(cfg.enc_image);
    let device = Device::flex();
    let language = &fifa.language;
    let rest = |region: Option<&RegionMask>| {
        let prompt = prompt(&cfg, region.is_some());
        (prompt.clone(), language.rest(&prompt, &ask(&fifa, &evidence, region), &[0, 5, 9]).unwrap())
    };
    let fresh = |region: Option<&RegionMask>| {
        let (prompt, rest) = rest(region);
        let mut cache = KvCache::new(&cfg, 1, &device);
        language.lm.forward(language.head(&prompt, evidence.map.clone()).unwrap(), &mut cache).unwrap();
        assert_eq!(cache.len(), prompt.states_at);
        (values(language.lm.forward(rest, &mut cache).unwrap()), cache)
    };
    // A question with a region, an answer of two tokens, then one without, behind the same head.
    let (_, mut cache) = fresh(Some(&here));
    language.lm.forward(language.lm.embed(&[5, 6]).unwrap(), &mut cache).unwrap();
    let (prompt, rest) = rest(None);
    cache.truncate(prompt.states_at);
    let again = values(language.lm.forward(rest, &mut cache).unwrap());
    assert_eq!(again, fresh(None).0);
    assert_ne!(again[..], fresh(Some(&here)).0[..again.len()]);
}

/// A drawn face of coloured leaves and grain on the mean mesh: enough for the sampler to forge. No person.
fn drawn(person: u64, split: Split) -> Photo {
    const S: usize = 360;
    let mut rng = SmallRng::seed_from_u64(person);
    let mesh: Vec<[f32; 3]> = include_str!("fixtures/mean_mesh.txt")
        .lines()
        .map(|l| {
            let v: Vec<f32> = l.split_whitespace().map(|v| v.parse().unwrap()).collect();
            [180.0 + (v[0] - 0.43) * 225.0, 180.0 + (v[1] - 0.5) * 225.0, v[2] * 225.0]
        })
        .collect();
    let skin: [i32; 3] = [rng.random_range(120..220), rng.random_range(90..180), rng.random_range(80..160)];
    let data = fict::part_labels(&mesh, S, S)
        .into_iter()
        .enumerate()
        .flat_map(|(i, l)| {
            let tone = if l == u8::MAX { 60 } else { i32::from(l) * 23 % 60 - 20 };
            let shade = (i % S + i / S) as i32 / 12;
            skin.map(|c| (c - tone + shade + rng.random_range(-9..9)).clamp(0, 255) as u8)
        })
        .collect();
    Photo::in_memory(&format!("drawn{person}"), split, Rgb8 { width: S, height: S, data }, mesh)
}

fn samplers() -> (Arc<Sampler>, Sampler) {
    let mut pack = Pack::default();
    pack.photos.extend((0..3).map(|i| drawn(i, Split::Train)));
    pack.photos.extend((3..5).map(|i| drawn(i, Split::Val)));
    let pack = Arc::new(pack);
    (Arc::new(Sampler::new(pack.clone(), Split::Train, 3).unwrap()), Sampler::new(pack, Split::Val, 3).unwrap())
}

/// The crops of the sampler are 448 px: the small model at that size.
fn trained_size() -> ModelConfig {
    let cfg = ModelConfig { enc_image: 448, proj_shuffle: 14, lm_context: 320, ..ModelConfig::tiny() };
    cfg.check().unwrap();
    cfg
}

/// Trains four steps at once, and two steps twice; `train(folder, steps)` builds everything anew, as a new process would.
fn resumes(name: &str, train: impl Fn(&Path, usize) -> TensorMap) {
    let folder = |part: &str| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("resume").join(name).join(part);
        let _ = std::fs::remove_dir_all(&dir);
        dir
    };
    let (whole, parts) = (folder("whole"), folder("parts"));
    let at_once = train(&whole, 4);
    let first = train(&parts, 2);
    let then = train(&parts, 4);
    assert!(!at_once.0.is_empty());
    assert_eq!(at_once.0.keys().collect::<Vec<_>>(), then.0.keys().collect::<Vec<_>>());
    let differ = |a: &TensorMap, b: &TensorMap| {
        a.0.iter().filter(|(n, t)| b.0[*n].to_f32() != t.to_f32()).map(|(n, _)| n.clone()).collect::<Vec<_>>()
    };
    assert!(differ(&first, &then).len() * 2 > then.0.len(), "the second half trained nothing");
    assert_eq!(differ(&at_once, &then), Vec::<String>::new(), "an interrupted run ends elsewhere");
}

fn args(out: &Path, steps: usize) -> Args {
    Args {
        config: None,
        stage: String::new(),
        faces: PathBuf::new(),
        weights: PathBuf::new(),
        out: out.into(),
        steps,
        batch: 2,
        accumulate: 2,
        ema: 0.9,
        lr: 1e-2,
        seed: 3,
        loaders: 1,
        save_every: 1000,
        validate: 2,
        side: 224,
        difficulty: 0.5,
        recipes: RecipeSet::First,
        repeat: 0,
        without: vec![],
        go_on: false,
        seg_state: facext::native::train::language::SegState::Predicting,
        device: "cpu".into(),
    }
}

#[test]
fn an_interrupted_traces_stage_ends_where_an_uninterrupted_one_does() {
    let device = Device::flex().autodiff();
    resumes("traces", |out, steps| {
        let (sampler, val) = samplers();
        let cfg = trained_size();
        let model = Vision::build(&cfg, &Vars::random(7, &device).pp("vision")).unwrap();
        let branch = traces::train(&cfg, model.traces, sampler, &val, &args(out, steps), &device).unwrap();
        export(&branch, "vision.traces", |_| true)
    });
}

#[test]
fn squares_of_a_pair_differ_where_the_forgery_is() {
    let (sampler, _) = samplers();
    let cuts = cut::Cuts::new(sampler, 224, u64::MAX);
    // Without degradations (the first set's come after the forgery and are the same for both) most of the rest is equal.
    let (mut aimed, mut inside, mut outside) = (0, 0.0, 0.0);
    for index in 0..12 {
        let [forged, untouched] = cuts.at(index).unwrap();
        assert!(!untouched.forged && untouched.class == 0 && untouched.artifact.iter().all(|v| *v == 0.0));
        assert_eq!((forged.image.len(), forged.artifact.len()), (224 * 224 * 3, 56 * 56));
        assert_eq!(forged.forged, forged.class != 0);
        aimed += usize::from(forged.forged);
        for (i, (a, b)) in untouched.image.chunks_exact(3).zip(forged.image.chunks_exact(3)).enumerate() {
            let change = a.iter().zip(b).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>();
            let cell = forged.artifact[i / 224 / 4 * 56 + i % 224 / 4];
            if cell == 1.0 {
                inside += change
            } else if cell == 0.0 {
                outside += change
            }
        }
    }
    assert!(aimed >= 8, "{aimed} of 12 squares show their forgery");
    assert!(inside > outside, "changed inside {inside}, outside {outside}");
}

#[test]
fn a_forgery_is_shown_in_several_places_whatever_was_asked_before() {
    let (sampler, _) = samplers();
    let cuts = |side| cut::Cuts::new(sampler.clone(), side, u64::MAX);
    let image = |cuts: &cut::Cuts, at: u64| cuts.at(at).unwrap().map(|c| c.image);
    // 64 pairs apart stands the same forgery in another place.
    let both = cuts(192);
    let (first, second) = (image(&both, 5), image(&both, 64 + 5));
    assert!(first != second);
    assert_eq!(image(&cuts(192), 64 + 5), second, "asked for alone");
    assert_eq!(image(&both, 5), first, "asked for again");
    assert!(image(&cuts(448), 5) != image(&cuts(448), 64 + 5), "a whole crop has one place");
}

#[test]
fn an_interrupted_vision_stage_ends_where_an_uninterrupted_one_does() {
    let (cfg, device) = (trained_size(), Device::flex().autodiff());
    resumes("vision", |out, steps| {
        let (sampler, val) = samplers();
        let model = Vision::build(&cfg, &Vars::random(7, &device).pp("vision")).unwrap();
        let model = vision::train(&cfg, model, sampler, &val, &args(out, steps), &device).unwrap();
        export(&model, "vision", |n| !is_frozen(n))
    });
}

#[test]
fn an_interrupted_language_stage_ends_where_an_uninterrupted_one_does() {
    let Ok(tokenizer) = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/tokenizer.json")) else {
        println!("skipped: no weights/");
        return;
    };
    let (cfg, device) = (trained_size(), Device::flex().autodiff());
    resumes("language", |out, steps| {
        let (sampler, val) = samplers();
        let vision = Vision::build(&cfg, &Vars::random(7, &Device::flex()).pp("vision")).unwrap();
        let speaking = Language::build(&cfg, &Vars::random(7, &device).pp("language")).unwrap();
        let args = args(out, steps);
        let setup = language::Setup { cfg: &cfg, tokenizer: &tokenizer, sampler, val: &val, begun: false, args: &args };
        let speaking = language::train(&setup, vision, speaking, &device).unwrap();
        export(&speaking, "language", |n| !n.contains(".Float.") && !is_frozen(n))
    });
}
