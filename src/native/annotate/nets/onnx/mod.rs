//! A small runner of ONNX files: as much of the format as the borrowed networks need, one picture at a time, on one thread.
//!
//! An ONNX library would bring some forty crates for two files whose hashes are known. The operators here are plain loops without
//! detection of the processor, so a network gives the same bytes on every machine that the program is built for.
//!
//! 1. [`proto`]: the protocol buffer → [`Graph`].
//! 2. [`Graph::between`]: the nodes that lie between two values, everything else forgotten.
//! 3. [`Plan::run`]: the nodes in their order (ONNX keeps them sorted); [`ops`] and [`conv`] compute them.

pub mod conv;
pub mod ops;
pub mod proto;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Row-major values. Whole numbers are kept as floats: the graphs use them for shapes only.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Array {
    /// An array; `None` if the number of values does not fit the shape.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Option<Self> {
        (shape.iter().product::<usize>() == data.len()).then_some(Self { shape, data })
    }

    /// Batch, channels, height, width of a map.
    pub fn map(&self) -> Option<[usize; 4]> {
        self.shape.as_slice().try_into().ok()
    }
}

/// What a node is told beside its inputs.
#[derive(Debug, Clone)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(String),
    Array(Array),
}

/// One operation.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub op: String,
    /// Names of values; empty for one left out.
    pub inputs: Vec<String>,
    pub output: String,
    pub attributes: Vec<(String, Attribute)>,
}

impl Node {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.0 == name).map(|a| &a.1)
    }

    /// A whole number, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(v)) = self.attribute(name) { *v } else { default }
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        if let Some(Attribute::Float(v)) = self.attribute(name) { *v } else { default }
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        if let Some(Attribute::Ints(v)) = self.attribute(name) { Some(v) } else { None }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        if let Some(Attribute::Text(v)) = self.attribute(name) { Some(v) } else { None }
    }

    pub fn array(&self, name: &str) -> Option<&Array> {
        if let Some(Attribute::Array(v)) = self.attribute(name) { Some(v) } else { None }
    }
}

/// A file's graph.
#[derive(Debug, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub values: HashMap<String, Array>,
}

/// The nodes between one value and another.
#[derive(Debug)]
pub struct Plan {
    nodes: Vec<Node>,
    values: HashMap<String, Array>,
    input: String,
    output: String,
}

impl Graph {
    /// The part of the graph that turns the value `input` into the value `output`.
    pub fn between(mut self, input: &str, output: &str) -> Plan {
        let mut needed: HashSet<String> = HashSet::from([output.to_string()]);
        let mut nodes = Vec::new();
        for node in self.nodes.into_iter().rev() {
            if node.output != input && needed.contains(&node.output) {
                needed.extend(node.inputs.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        self.values.retain(|name, _| needed.contains(name));
        Plan { nodes, values: self.values, input: input.into(), output: output.into() }
    }
}

impl Plan {
    /// The output for this input. A fault names the node.
    ///
    /// # Errors
    /// In words: an operator or a shape that is not known here.
    pub fn run(&self, input: Array) -> Result<Array, String> {
        let mut uses: HashMap<&str, usize> = HashMap::new();
        self.nodes.iter().flat_map(|n| &n.inputs).for_each(|name| *uses.entry(name).or_default() += 1);
        let mut values: HashMap<&str, Rc<Array>> = HashMap::from([(self.input.as_str(), Rc::new(input))]);
        for node in &self.nodes {
            let read = |name: &String| values.get(name.as_str()).cloned().or_else(|| self.values.get(name).map(|v| Rc::new(v.clone())));
            let inputs: Vec<Option<Rc<Array>>> = node.inputs.iter().map(read).collect();
            let out = ops::run(node, &inputs).ok_or_else(|| {
                let shapes: Vec<_> = inputs.iter().map(|i| i.as_ref().map(|a| a.shape.clone())).collect();
                format!("{} {:?}: cannot be run on {shapes:?}", node.op, node.output)
            })?;
            drop(inputs);
            // Maps are large: each goes when the last node that reads it has.
            for name in &node.inputs {
                if let Some(n) = uses.get_mut(name.as_str()) {
                    *n -= 1;
                    if *n == 0 {
                        values.remove(name.as_str());
                    }
                }
            }
            values.insert(&node.output, Rc::new(out));
        }
        let out = values.remove(self.output.as_str()).ok_or_else(|| format!("no value {:?}", self.output))?;
        Ok(Rc::try_unwrap(out).unwrap_or_else(|shared| (*shared).clone()))
    }
}
