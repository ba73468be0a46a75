//! ONNX files are protocol buffers; this reads the fields that a graph needs, by their numbers in `onnx.proto`.
//!
//! Everything is length-checked; what does not parse is no graph (`None`). Tensors are kept if they are of floats or whole numbers
//! in raw form, as exporters write them; others are left out, and a node that needs one cannot run.

use super::{Array, Attribute, Graph, Node};

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of a message, with their numbers. `None` if it is malformed.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(number(&mut bytes)?),
            1 => {
                let (_, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                continue;
            }
            2 => {
                let n = usize::try_from(number(&mut bytes)?).ok()?;
                let (part, rest) = bytes.split_at_checked(n)?;
                bytes = rest;
                Field::Bytes(part)
            }
            5 => {
                let (four, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Field::Four(*four)
            }
            _ => return None,
        };
        out.push((key >> 3, field));
    }
    Some(out)
}

/// A variable-length number.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..64).step_by(7) {
        let (&b, rest) = bytes.split_first()?;
        *bytes = rest;
        v |= u64::from(b & 127) << shift;
        if b < 128 {
            return Some(v);
        }
    }
    None
}

/// Whole numbers, packed or one by one.
fn push_numbers(out: &mut Vec<i64>, field: &Field) -> Option<()> {
    match field {
        Field::Number(v) => out.push(*v as i64),
        Field::Bytes(b) => {
            let mut b = *b;
            while !b.is_empty() {
                out.push(number(&mut b)? as i64);
            }
        }
        Field::Four(_) => return None,
    }
    Some(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a model.
pub fn read(bytes: &[u8]) -> Option<Graph> {
    let mut graph = Graph::default();
    for (n, field) in fields(bytes)? {
        if let (7, Field::Bytes(b)) = (n, field) {
            for part in fields(b)? {
                match part {
                    (1, Field::Bytes(b)) => {
                        let node = node(b)?;
                        match (node.op.as_str(), node.array("value")) {
                            // A constant is a value, not work.
                            ("Constant", Some(v)) => {
                                graph.values.insert(node.output.clone(), v.clone());
                            }
                            _ => graph.nodes.push(node),
                        }
                    }
                    (5, Field::Bytes(b)) => {
                        if let (name, Some(v)) = tensor(b)? {
                            graph.values.insert(name, v);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    (!graph.nodes.is_empty()).then_some(graph)
}

fn node(bytes: &[u8]) -> Option<Node> {
    let mut node = Node::default();
    for part in fields(bytes)? {
        match part {
            (1, Field::Bytes(b)) => node.inputs.push(text(b)),
            (2, Field::Bytes(b)) if node.output.is_empty() => node.output = text(b),
            (4, Field::Bytes(b)) => node.op = text(b),
            (5, Field::Bytes(b)) => {
                if let (name, Some(a)) = attribute(b)? {
                    node.attributes.push((name, a));
                }
            }
            _ => {}
        }
    }
    Some(node)
}

fn attribute(bytes: &[u8]) -> Option<(String, Option<Attribute>)> {
    let (mut name, mut value, mut ints) = (String::new(), None, Vec::new());
    for (n, field) in fields(bytes)? {
        match (n, field) {
            (1, Field::Bytes(b)) => name = text(b),
            (2, Field::Four(v)) => value = Some(Attribute::Float(f32::from_le_bytes(v))),
            (3, Field::Number(v)) => value = Some(Attribute::Int(v as i64)),
            (4, Field::Bytes(b)) => value = Some(Attribute::Text(text(b))),
            (5, Field::Bytes(b)) => value = tensor(b)?.1.map(Attribute::Array),
            (8, field) => push_numbers(&mut ints, &field)?,
            _ => {}
        }
    }
    Some((name, if ints.is_empty() { value } else { Some(Attribute::Ints(ints)) }))
}

fn tensor(bytes: &[u8]) -> Option<(String, Option<Array>)> {
    let (mut name, mut dims, mut kind, mut raw) = (String::new(), Vec::new(), 0, &[][..]);
    for (n, field) in fields(bytes)? {
        match (n, field) {
            (1, field) => push_numbers(&mut dims, &field)?,
            (2, Field::Number(v)) => kind = v,
            (8, Field::Bytes(b)) => name = text(b),
            (9, Field::Bytes(b)) => raw = b,
            _ => {}
        }
    }
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let data: Vec<f32> = match kind {
        1 => raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        6 => raw.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect(),
        7 => raw.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
        _ => return Some((name, None)),
    };
    Some((name, shape.and_then(|s| Array::new(s, data))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_broken_messages() {
        assert_eq!(number(&mut &[0xac, 0x02][..]), Some(300));
        assert_eq!(number(&mut &[0xff; 20][..]), None);
        assert!(fields(&[0x0a, 0x05, 1, 2]).is_none(), "shorter than it says");
        assert!(fields(&[0x0d, 1, 2]).is_none() && fields(&[0x0b]).is_none());
        assert!(read(b"not a model").is_none() && read(&[]).is_none());
    }

    #[test]
    fn a_small_graph_is_read() {
        // graph { node { input: "x" input: "w" output: "y" op_type: "Add" } initializer { dims: 2 data_type: 1 raw_data name: "w" } }
        let field = |n: u8, bytes: &[u8]| [&[n << 3 | 2, bytes.len() as u8], bytes].concat();
        let node = [field(1, b"x"), field(1, b"w"), field(2, b"y"), field(4, b"Add")].concat();
        let raw: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let value = [vec![0x08, 2, 0x10, 1], field(9, &raw), field(8, b"w")].concat();
        let graph = read(&field(7, &[field(1, &node), field(5, &value)].concat())).unwrap();
        assert_eq!(graph.values["w"], Array::new(vec![2], vec![1.5, -2.0]).unwrap());
        let out = graph.between("x", "y").run(Array::new(vec![2], vec![1.0, 1.0]).unwrap()).unwrap();
        assert_eq!(out.data, [2.5, -1.0]);
    }
}
