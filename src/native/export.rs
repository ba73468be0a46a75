//! From a module back to named tensors: what training changed, to be stored.

use crate::weights::{Stored, TensorMap};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// All float parameters of a module whose full name passes `keep`, named `prefix.path`.
pub fn export<M: Module>(module: &M, prefix: &str, keep: impl Fn(&str) -> bool) -> TensorMap {
    let mut visitor = Exporter { path: vec![prefix.to_string()], keep, map: TensorMap::default() };
    module.visit(&mut visitor);
    visitor.map
}

struct Exporter<F> {
    path: Vec<String>,
    keep: F,
    map: TensorMap,
}

impl<F: Fn(&str) -> bool> ModuleVisitor for Exporter<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if (self.keep)(&name) {
            let data = param.val().into_data();
            let shape = param.val().dims().to_vec();
            if let Ok(values) = data.try_to_vec::<f32>() {
                self.map.0.insert(name, Stored::float(shape, values));
            }
        }
    }
}
