//! Language stage: adapters, added tokens, projector, state words and `[SEG]` projector, from frozen vision.
//!
//! Every sample is one question about one crop. What the language model is told (visual tokens, state tokens, region
//! token) comes from the vision half as it is, so that it learns how far its evidence can be trusted; the answer comes from
//! the annotator. Loss: cross-entropy of the answer's tokens, and at every `[SEG]` the concept that its mask is about.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::fict;
use crate::model::fifa::Language;
use crate::model::presence::presence;
use crate::model::region::RegionMask;
use crate::model::states::Readout;
use crate::model::vision::{Vision, crops_to_tensor};
use crate::native::annotate::talk;
use crate::native::annotate::text::{self, Qa, Scope};
use crate::native::annotate::{Sample, Sampler};
use crate::native::train::Args;
use crate::native::train::course::MOST;
use crate::native::train::gradients::clip;
use crate::native::train::losses::{soft_cross_entropy, weighted_cross_entropy};
use crate::native::train::schedule::{Journal, cosine};
use crate::text::ask::{THIS_REGION, Task};
use crate::text::family::Family;
use crate::text::grammar::{encode, parse_marked};
use crate::text::template::{Layout, prompt};
use crate::text::tokenizer::Tokenizer;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// What a run needs.
pub struct Setup<'a> {
    /// Sizes.
    pub cfg: &'a ModelConfig,
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// Training persons.
    pub sampler: Arc<Sampler>,
    /// Validation persons.
    pub val: &'a Sampler,
    /// The state words are trained already: go on from them.
    pub begun: bool,
    /// The command's settings.
    pub args: &'a Args,
}

/// Which hidden state of the language model chooses the concept of a `[SEG]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegState {
    /// The one that predicts it, which has read up to the end of the phrase: as LISA and GLaMM take it.
    Predicting,
    /// The one at the token itself, which has read it.
    Token,
}

/// One question with what the vision half says about its crop.
struct Turn {
    prompt: crate::text::template::Prompt,
    answer: Vec<u32>,
    /// Concepts of every `[SEG]`, as distributions, `[n, K]`.
    seg: Vec<f32>,
    map: TensorData,
    readout: [TensorData; 4],
    region: Option<TensorData>,
    top: Vec<usize>,
}

/// Trains until `args.steps`; resumes from the run's checkpoint.
///
/// # Errors
/// [`Error::Io`], and those of the sampler and the tokenizer.
pub fn train(setup: &Setup, vision: Vision, mut language: Language, device: &Device) -> Result<Language> {
    let (cfg, args) = (setup.cfg, setup.args);
    let tokenizer = Arc::new(Tokenizer::from_json(setup.tokenizer)?);
    if !setup.begun {
        language = start_words(language, &tokenizer, device)?;
    }
    language = language.map(&mut Freeze { path: vec![] });
    let mut optimiser = AdamWConfig::new().with_weight_decay(0.0).with_epsilon(1e-8).init();
    let mut journal = Journal::open(&args.out, "language")?;
    let mut step = 0;
    if let Some(at) = journal.resume() {
        let trained = crate::native::files::read_plain(&args.out.join("language.safetensors"))?;
        language = language.map(&mut Restore { path: vec!["language".into()], from: trained, device: device.clone() });
        optimiser = optimiser.load(journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
        step = at;
    }
    let (send, turns) = sync_channel(8);
    let next = Arc::new(std::sync::atomic::AtomicU64::new((step * args.batch) as u64));
    for _ in 0..args.loaders.max(1) {
        let (cfg, sampler, vision, tokenizer, send, next) =
            (cfg.clone(), setup.sampler.clone(), vision.clone(), tokenizer.clone(), send.clone(), next.clone());
        std::thread::spawn(move || {
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if send.send(turn(&cfg, &sampler, &vision, &tokenizer, index)).is_err() {
                    break;
                }
            }
        });
    }
    drop(send);
    let (started, first) = (Instant::now(), step);
    while step < args.steps {
        let lr = args.lr * cosine(step, 20, args.steps);
        let mut total = Tensor::<1>::zeros([1], device);
        let (mut words, mut segs) = (0.0, 0.0);
        for _ in 0..args.batch {
            let turn = turns.recv().map_err(|_| Error::Model("the sample threads ended".into()))??;
            let (ce, seg) = loss(cfg, &language, &turn, args.seg_state, device)?;
            words += ce.clone().detach().into_scalar::<f32>() / args.batch as f32;
            segs += seg.clone().detach().into_scalar::<f32>() / args.batch as f32;
            total = total + (ce + seg) / args.batch as f32;
        }
        let value = total.clone().into_scalar::<f32>();
        if value.is_finite() {
            let mut grads = GradientsParams::from_grads(total.backward(), &language);
            clip(&language, &mut grads, MOST);
            language = optimiser.step(lr, language, grads);
        }
        step += 1;
        journal.log(step, lr, value, &[("words", words), ("seg", segs)], started.elapsed().as_secs_f64() / (step - first) as f64)?;
        if step % args.save_every == 0 || step == args.steps {
            let kept =
                crate::native::export::export(&language, "language", |n| !n.contains(".Float.") && !crate::native::convert::is_frozen(n));
            crate::native::files::write_plain(&args.out.join("language.safetensors"), &kept)?;
            optimiser.save(journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
            journal.saved(step)?;
            let report = validate(setup, &vision, &tokenizer, &super::inner(&language), args.validate.div_ceil(4))?;
            journal.note(step, &report)?;
        }
    }
    Ok(language)
}

/// Question, answer and evidence of sample `index`.
fn turn(cfg: &ModelConfig, sampler: &Sampler, vision: &Vision, tokenizer: &Tokenizer, index: u64) -> Result<Turn> {
    let sample = sampler.sample(index)?;
    let mut rng = SmallRng::seed_from_u64(index ^ 0x0051_u64.rotate_left(40));
    let qa = talk::draw::draw(sampler.set(), &sample, &mut rng);
    let (question, region) = ask(&qa, &sample, cfg.enc_image, &mut rng);
    let layout = Layout { visual: cfg.visual_tokens(), states: 2 + cfg.dec_states, region: usize::from(region.is_some()) };
    let prompt = prompt(tokenizer, layout, &question)?;
    let answer = encode(tokenizer, &parse_marked(&qa.answer.text)?)?;
    let k = cfg.dec_concepts;
    let mut seg = vec![0.0; qa.answer.concepts.len() * k];
    for (row, id) in seg.chunks_exact_mut(k).zip(&qa.answer.concepts) {
        let set = fict::part_set(id).unwrap_or(0);
        let n = set.count_ones().max(1) as f32;
        (0..k).filter(|l| set >> l & 1 == 1).for_each(|l| row[l] = 1.0 / n);
    }
    let device = Device::flex();
    let evidence = vision.encode(crops_to_tensor(&[&sample.image.data], cfg.enc_image, &device));
    let out = vision.tasks(&evidence, region.as_ref().map(std::slice::from_ref));
    let artifact = out.artifact.clone().into_data().try_to_vec::<f32>().map_err(|e| Error::Model(format!("{e:?}")))?;
    let values = presence(&artifact, &sample.labels, cfg.enc_image);
    let read = Readout::of(&out).with_presence(&values);
    let presence = read.presence.clone().into_data();
    let mut ranked: Vec<usize> = (0..k).collect();
    ranked.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    ranked.truncate(cfg.dec_states);
    Ok(Turn {
        prompt,
        answer,
        seg,
        map: evidence.map.into_data(),
        readout: [read.det.into_data(), read.cls.into_data(), presence, read.states.into_data()],
        region: read.region.map(|r| r.into_data()),
        top: ranked,
    })
}

/// Question as the product would ask it, and the region as the product would hand it over. In two of five turns the
/// question is the product's own.
fn ask(qa: &Qa, sample: &Sample, side: usize, rng: &mut SmallRng) -> (String, Option<RegionMask>) {
    let task = match qa.task {
        text::Task::Det => Task::Det,
        text::Task::Cls => Task::Cls,
        text::Task::Age => Task::Age,
        text::Task::Loc => Task::Loc,
        text::Task::Toe => Task::Toe,
    };
    let own = rng.random_bool(0.4);
    let region = qa.scope.mask(sample).map(|mask| RegionMask::from_crop_mask(&mask.data, side));
    let question = match qa.scope {
        Scope::Image if own => task.question(None),
        Scope::Region(id) if own => task.question(Some(fict::concept(id).map_or(id, |c| c.en))),
        Scope::Box(_) if own => task.question(Some(THIS_REGION)),
        Scope::Box(_) => {
            qa.question.replace("the region <bbox>", THIS_REGION).replace("part <bbox>", "part").replace("<bbox>", THIS_REGION)
        }
        _ => qa.question.clone(),
    };
    (question, region)
}

/// Cross-entropy of the answer's tokens and of the `[SEG]` concepts.
fn loss(cfg: &ModelConfig, language: &Language, turn: &Turn, seg_state: SegState, device: &Device) -> Result<(Tensor<1>, Tensor<1>)> {
    let (hidden, targets) = hidden(language, turn, device)?;
    let n = turn.answer.len();
    let logits = language.lm.logits(hidden.clone());
    let vocabulary = logits.dims()[2];
    let ids: Vec<i32> = targets.iter().map(|id| *id as i32).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [n]), device);
    let weight = Tensor::<1>::from_data(TensorData::new(token_weights(cfg, &turn.answer), [n]), device);
    let ce = weighted_cross_entropy(logits.reshape([n, vocabulary]), ids, weight);
    let at = seg_states(cfg, &turn.answer, seg_state);
    if at.is_empty() {
        return Ok((ce, Tensor::zeros([1], device)));
    }
    let states = Tensor::cat(at.iter().map(|i| hidden.clone().narrow(1, *i, 1)).collect(), 1).reshape([at.len(), cfg.lm_dim]);
    let target = Tensor::<2>::from_data(TensorData::new(turn.seg.clone(), [at.len(), cfg.dec_concepts]), device);
    let seg = soft_cross_entropy(language.seg.choice(states), target, Tensor::ones([at.len()], device));
    Ok((ce, seg))
}

/// How much each token of an answer counts. Most tokens follow from the wording; what depends on the photo is the opening
/// (signs or none) and the names of the parts, and these must not drown.
fn token_weights(cfg: &ModelConfig, answer: &[u32]) -> Vec<f32> {
    let (open, close) = (cfg.lm_vocab as u32 + 1, cfg.lm_vocab as u32 + 2);
    let mut within = false;
    answer
        .iter()
        .enumerate()
        .map(|(i, id)| {
            within = *id != close && (within || *id == open);
            if i < OPENING {
                OPENING_WEIGHT
            } else if within {
                PHRASE_WEIGHT
            } else {
                1.0
            }
        })
        .collect()
}

/// Tokens of an answer in which it is decided whether it found signs.
const OPENING: usize = 3;
/// Weight of each of them.
const OPENING_WEIGHT: f32 = 4.0;
/// Weight of the tokens of a grounded phrase.
const PHRASE_WEIGHT: f32 = 3.0;

/// Hidden states that predict the answer's tokens, `[1, answer, lm_dim]`, and these tokens.
fn hidden<'a>(language: &Language, turn: &'a Turn, device: &Device) -> Result<(Tensor<3>, &'a [u32])> {
    let t2 = |d: &TensorData| Tensor::<2>::from_data(d.clone(), device);
    let readout = Readout {
        det: t2(&turn.readout[0]),
        cls: t2(&turn.readout[1]),
        presence: t2(&turn.readout[2]),
        states: Tensor::from_data(turn.readout[3].clone(), device),
        region: turn.region.as_ref().map(t2),
    };
    let map = Tensor::<4>::from_data(turn.map.clone(), device);
    let spliced = language.splice(&turn.prompt, map, &readout, &turn.top)?;
    let start = spliced.dims()[1] - 1;
    let (n, fed) = (turn.answer.len(), &turn.answer[..turn.answer.len() - 1]);
    let whole = if fed.is_empty() { spliced } else { Tensor::cat(vec![spliced, language.lm.embed(fed)?], 1) };
    let hidden = language.lm.forward_train(whole)?;
    Ok((hidden.narrow(1, start, n), &turn.answer))
}

/// Places, among the states that predict the answer's tokens, of those that choose a concept: one for each `[SEG]`.
fn seg_states(cfg: &ModelConfig, answer: &[u32], which: SegState) -> Vec<usize> {
    // `[SEG]` is the first of the added tokens. The state at a token predicts the one after it; an answer ends with a token of its own.
    let further = usize::from(which == SegState::Token);
    (0..answer.len()).filter(|i| answer[*i] == cfg.lm_vocab as u32).map(|i| (i + further).min(answer.len() - 1)).collect()
}

/// Loss and accuracy on validation persons: how often the first token of the answer (signs or none) and the
/// concept of a `[SEG]` are right, teacher-forced.
fn validate(setup: &Setup, vision: &Vision, tokenizer: &Tokenizer, language: &Language, n: u64) -> Result<String> {
    let device = Device::flex();
    let (mut total, mut tokens, mut right, mut segs, mut seg_right) = (0.0, 0usize, 0usize, 0usize, 0usize);
    for index in 0..n {
        let turn = turn(setup.cfg, setup.val, vision, tokenizer, index)?;
        let (hidden, targets) = hidden(language, &turn, &device)?;
        let logits = language.lm.logits(hidden.clone());
        let [_, t, v] = logits.dims();
        let best = logits.clone().reshape([t, v]).argmax(1).into_data().iter::<i64>().collect::<Vec<_>>();
        right += best.iter().zip(targets).filter(|(a, b)| **a == i64::from(**b)).count();
        tokens += t;
        total += loss(setup.cfg, language, &turn, setup.args.seg_state, &device)?.0.into_scalar::<f32>();
        for (s, i) in seg_states(setup.cfg, &turn.answer, setup.args.seg_state).into_iter().enumerate() {
            let k = setup.cfg.dec_concepts;
            let choice = language.seg.choice(hidden.clone().narrow(1, i, 1).reshape([1, setup.cfg.lm_dim]));
            let chosen = choice.argmax(1).into_data().iter::<i64>().next().unwrap_or(0) as usize;
            seg_right += usize::from(turn.seg[s * k + chosen] > 0.0);
            segs += 1;
        }
    }
    Ok(format!(
        "answer loss {:.4} token accuracy {:.4} seg concept accuracy {:.4} of {segs} n {n}",
        total / n as f32,
        right as f32 / tokens.max(1) as f32,
        seg_right as f32 / segs.max(1) as f32
    ))
}

/// State words start as the mean embedding of the words they stand for.
fn start_words(mut language: Language, tokenizer: &Tokenizer, device: &Device) -> Result<Language> {
    let row = |language: &Language, text: &str| -> Result<Tensor<2>> {
        let ids = tokenizer.encode(text)?;
        Ok(language.lm.embed(&ids)?.mean_dim(1).reshape([1, language.lm.config().lm_dim]).detach())
    };
    let table = |rows: Vec<Tensor<2>>| {
        let data = Tensor::cat(rows, 0).into_data();
        Param::from_tensor(Tensor::<2>::from_data(data, device).require_grad())
    };
    let det = [" no sign", " forged"].iter().map(|t| row(&language, t)).collect::<Result<Vec<_>>>()?;
    let cls = Family::ALL.iter().map(|f| row(&language, &format!(" {}", f.words().unwrap_or("nothing")))).collect::<Result<Vec<_>>>()?;
    let mut concepts = fict::parts().map(|c| row(&language, &format!(" {}", c.en))).collect::<Result<Vec<_>>>()?;
    concepts.push(row(&language, " nothing")?);
    language.states.det_words = table(det);
    language.states.cls_words = table(cls);
    language.states.concept_words = table(concepts);
    Ok(language)
}

/// Freezes the upstream language model; adapters and added rows stay trainable. Every parameter gets the identity that
/// belongs to its name: the optimiser's moments are kept by identity, and a resumed run builds its modules anew.
struct Freeze {
    path: Vec<String>,
}

impl ModuleMapper for Freeze {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let upstream = path.starts_with("lm.") && !path.contains("_lora.") && !path.starts_with("lm.added.");
        let digest = Sha256::digest(&path);
        let id = digest.iter().take(8).fold(0u64, |id, b| id << 8 | u64::from(*b));
        let (_, value, mapper) = param.set_require_grad(!upstream).consume();
        Param::from_mapped_value(ParamId::from(id), value, mapper)
    }
}

/// Puts stored values back, keeping the parameters' identities, so that the optimiser's moments still belong to them.
struct Restore {
    path: Vec<String>,
    from: crate::weights::TensorMap,
    device: Device,
}

impl ModuleMapper for Restore {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.from.0.get(&self.path.join(".")) {
            Some(stored) => {
                let data = TensorData::new(stored.to_f32(), stored.shape());
                param.map(|_| Tensor::from_data(data, &self.device).require_grad())
            }
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_at_a_token_is_the_one_that_predicts_what_follows_it() {
        let cfg = ModelConfig::preset("tiny").unwrap();
        let seg = cfg.lm_vocab as u32;
        let answer = [5, seg, 7, seg, 9];
        assert_eq!(seg_states(&cfg, &answer, SegState::Predicting), [1, 3]);
        assert_eq!(seg_states(&cfg, &answer, SegState::Token), [2, 4]);
    }
}
