//! Filters (RFC 7644 §3.4.2.2): parsed and checked against a schema once, evaluated on many resources.

use std::cmp::Ordering;

use jiff::Timestamp;
use scim_v2::filter as ast;
use serde_json::{Number, Value};

use crate::error::{ScimError, ScimType};
use crate::index::{Comparing, Range, range};
use crate::path::{Target, resolve};
use crate::reading::{Quirk, Reading, Strictness};
use crate::schema::{Attribute, Case, Kind, ResourceType};

/// A filter over resources of one kind.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    root: Node,
}

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Present(Target),
    Compare(Target, Comparison),
    Within(Target, ValueFilter),
}

#[derive(Debug, Clone)]
struct Comparison {
    op: ast::CompareOp,
    operand: Operand,
    case: Case,
}

#[derive(Debug, Clone)]
enum Operand {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    Time(Timestamp),
}

/// A filter over the values of one multi-valued attribute, as in `emails[type eq "work"]`.
#[derive(Debug, Clone)]
pub(crate) enum ValueFilter {
    All(Vec<ValueFilter>),
    Any(Vec<ValueFilter>),
    Not(Box<ValueFilter>),
    Present(&'static Attribute),
    Compare(&'static Attribute, Box<ComparisonOf>),
}

/// A comparison whose operand was checked against its attribute.
#[derive(Debug, Clone)]
pub(crate) struct ComparisonOf(Comparison);

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidFilter, detail)
}

/// The parser's message runs over several lines.
pub(crate) fn one_line(message: &impl ToString) -> String {
    message.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

impl Filter {
    /// Parses a filter over resources of this kind.
    ///
    /// # Errors
    /// `invalidFilter` when it is malformed, names an attribute that is not there, or compares what has no order.
    pub fn parse(text: &str, kind: &ResourceType) -> Result<Self, ScimError> {
        let parsed: ast::Filter =
            text.trim().parse().map_err(|e| invalid(format!("filter '{text}' is not valid: {}", one_line(&e))))?;
        Ok(Self { text: text.trim().to_owned(), root: compile(&parsed, kind)? })
    }

    /// The same from a client: one that is read tolerantly may leave out the quotes of a value without spaces.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), of the filter as it was sent.
    pub fn parse_as(text: &str, kind: &ResourceType, strictness: Strictness) -> Result<Self, ScimError> {
        match (Self::parse(text, kind), strictness) {
            (Err(wrong), Strictness::Tolerant) => Self::parse(&quoted(text), kind).map_err(|_| wrong),
            (parsed, _) => parsed,
        }
    }

    /// Whether the resource matches.
    #[must_use]
    pub fn matches(&self, resource: &Value) -> bool {
        self.root.matches(resource)
    }

    /// The filter as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The stretches of indexes that hold every resource which can match, in each of the ways that the filter offers; none: each
    /// resource has to be looked at.
    #[must_use]
    pub fn ranges(&self, is_indexed: IsIndexed<'_>) -> Vec<Vec<Range>> {
        let mut ways = self.root.ranges(is_indexed);
        if !matches!(self.root, Node::Compare(..)) {
            ways.iter_mut().flatten().for_each(|range| range.is_exact = false);
        }
        ways
    }

    /// The values that matching resources must have, `attribute eq "value"`, so that an index can find them.
    #[must_use]
    pub fn equalities(&self) -> Vec<(String, &str)> {
        self.root.equalities()
    }
}

/// A filter with quotes around every bare word that is compared with, and that is neither a number nor a literal.
pub(crate) fn quoted(text: &str) -> String {
    let is_operator = |word: &str| {
        ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"].iter().any(|op| op.eq_ignore_ascii_case(word))
    };
    let is_literal =
        |word: &str| matches!(word, "true" | "false" | "null") || serde_json::from_str::<Number>(word).is_ok();
    let (mut out, mut compared, mut rest) = (String::new(), false, text);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            // A text in quotes stays as it is.
            '"' => string_end(rest),
            c if c.is_whitespace() || "()[]".contains(c) => c.len_utf8(),
            _ => rest.find(|c: char| c.is_whitespace() || "()[]\"".contains(c)).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(length);
        let is_word = !first.is_whitespace() && !"()[]\"".contains(first);
        if is_word && compared && !is_literal(word) {
            out.push_str(&Value::from(word).to_string());
        } else {
            out.push_str(word);
        }
        if !first.is_whitespace() {
            compared = is_word && is_operator(word);
        }
        rest = behind;
    }
    out
}

/// Where a text in quotes ends, with its escapes.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn compile(filter: &ast::Filter, kind: &ResourceType) -> Result<Node, ScimError> {
    let all = |items: &[ast::Filter]| items.iter().map(|f| compile(f, kind)).collect::<Result<Vec<_>, _>>();
    Ok(match filter {
        ast::Filter::And(items) => Node::And(all(items)?),
        ast::Filter::Or(items) => Node::Or(all(items)?),
        ast::Filter::Not(inner) => Node::Not(Box::new(compile(inner, kind)?)),
        ast::Filter::Attr(ast::AttrExp::Present(path)) => Node::Present(resolve(path, kind).map_err(invalid)?),
        ast::Filter::Attr(ast::AttrExp::Comparison(path, op, value)) => {
            let mut target = resolve(path, kind).map_err(invalid)?;
            if !matches!(value, ast::CompValue::Null) && target.sub.is_none() && target.attribute.kind == Kind::Complex
            {
                // RFC 7644 §3.10: a complex attribute stands for its "value".
                target.sub = Some(
                    target
                        .attribute
                        .sub("value")
                        .ok_or_else(|| invalid(format!("'{path}' is complex: compare one of its sub-attributes")))?,
                );
            }
            let leaf = target.sub.unwrap_or(target.attribute);
            Node::Compare(target, comparison(leaf, op, value, &mut Reading::new(Strictness::Tolerant))?)
        }
        ast::Filter::ValuePath(inner) => {
            let target = resolve(&inner.attr, kind).map_err(invalid)?;
            Node::Within(
                target,
                value_filter(&inner.filter, target.attribute, &mut Reading::new(Strictness::Tolerant))?,
            )
        }
    })
}

/// Checks a value filter against the attribute it is over.
pub(crate) fn value_filter(
    filter: &ast::ValFilter,
    over: &'static Attribute,
    reading: &mut Reading,
) -> Result<ValueFilter, ScimError> {
    let mut all =
        |items: &[ast::ValFilter]| items.iter().map(|f| value_filter(f, over, reading)).collect::<Result<Vec<_>, _>>();
    let sub = |path: &ast::AttrPath| {
        if path.uri.is_some() || path.sub_attr.is_some() {
            return Err(invalid(format!("'{path}' is not a sub-attribute of '{}'", over.name)));
        }
        over.sub(&path.name)
            .ok_or_else(|| invalid(format!("attribute '{}' has no sub-attribute '{}'", over.name, path.name)))
    };
    Ok(match filter {
        ast::ValFilter::And(items) => ValueFilter::All(all(items)?),
        ast::ValFilter::Or(items) => ValueFilter::Any(all(items)?),
        ast::ValFilter::Not(inner) => ValueFilter::Not(Box::new(value_filter(inner, over, reading)?)),
        ast::ValFilter::Attr(ast::AttrExp::Present(path)) => ValueFilter::Present(sub(path)?),
        ast::ValFilter::Attr(ast::AttrExp::Comparison(path, op, value)) => {
            let attribute = sub(path)?;
            ValueFilter::Compare(attribute, Box::new(ComparisonOf(comparison(attribute, op, value, reading)?)))
        }
    })
}

fn comparison(
    leaf: &Attribute,
    op: &ast::CompareOp,
    value: &ast::CompValue,
    reading: &mut Reading,
) -> Result<Comparison, ScimError> {
    use ast::{CompValue, CompareOp};
    let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let ordering = matches!(op, CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le);
    let mismatch = |wanted: &str| {
        invalid(format!("'{}' is a {}: compare it with {wanted}, not {value}", leaf.name, leaf.kind.name()))
    };
    let operand = match (leaf.kind, value) {
        (_, CompValue::Null) => Operand::Null,
        (Kind::Boolean, CompValue::True) => Operand::Boolean(true),
        (Kind::Boolean, CompValue::False) => Operand::Boolean(false),
        (Kind::Boolean, CompValue::Str(text))
            if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") =>
        {
            reading.accept(Quirk::BooleanText, ScimType::InvalidFilter, || mismatch("true or false").detail)?;
            Operand::Boolean(text.eq_ignore_ascii_case("true"))
        }
        (Kind::Boolean, _) => return Err(mismatch("true or false")),
        (Kind::DateTime, CompValue::Str(text)) => {
            Operand::Time(text.parse().map_err(|_| mismatch("an RFC 3339 time"))?)
        }
        (Kind::Integer | Kind::Decimal, CompValue::Number(number)) => Operand::Number(number.clone()),
        (Kind::Integer | Kind::Decimal, _) => return Err(mismatch("a number")),
        (Kind::Complex, _) => return Err(mismatch("null, or compare a sub-attribute")),
        (_, CompValue::Str(text)) => Operand::Text(text.clone()),
        _ => return Err(mismatch("a string in double quotes")),
    };
    let allowed = match (&operand, leaf.kind) {
        (Operand::Null | Operand::Boolean(_), _) | (_, Kind::Binary) => equality,
        (Operand::Time(_) | Operand::Number(_), _) => equality || ordering,
        (Operand::Text(_), _) => true,
    };
    if !allowed {
        return Err(invalid(format!("operator '{op}' does not apply to '{}', a {}", leaf.name, leaf.kind.name())));
    }
    Ok(Comparison { op: op.clone(), operand, case: leaf.case })
}

/// Whether there is an index of a path.
type IsIndexed<'a> = &'a dyn Fn(&str) -> bool;

/// The most ways that a filter is looked through for.
const MOST_WAYS: usize = 16;

impl Node {
    fn ranges(&self, is_indexed: IsIndexed<'_>) -> Vec<Vec<Range>> {
        match self {
            Self::Compare(target, comparison) => comparison.ways(target, is_indexed),
            Self::Within(target, filter) => filter.ranges(target, is_indexed),
            Self::And(items) => items.iter().flat_map(|item| item.ranges(is_indexed)).take(MOST_WAYS).collect(),
            // Each side needs a way, and the first of each will do.
            Self::Or(items) => {
                let first = |item: &Self| item.ranges(is_indexed).into_iter().next();
                let all: Option<Vec<Vec<Range>>> = items.iter().map(first).collect();
                all.map(|all| all.into_iter().flatten().collect()).into_iter().collect()
            }
            Self::Not(_) | Self::Present(_) => Vec::new(),
        }
    }

    fn equalities(&self) -> Vec<(String, &str)> {
        match self {
            Self::Compare(target, Comparison { op: ast::CompareOp::Eq, operand: Operand::Text(value), .. }) => {
                vec![(target.name(), value)]
            }
            Self::And(items) => items.iter().flat_map(Self::equalities).collect(),
            _ => Vec::new(),
        }
    }

    fn matches(&self, resource: &Value) -> bool {
        match self {
            Self::And(items) => items.iter().all(|n| n.matches(resource)),
            Self::Or(items) => items.iter().any(|n| n.matches(resource)),
            Self::Not(inner) => !inner.matches(resource),
            Self::Present(target) => leaves(target, resource).iter().any(|v| is_present(v)),
            Self::Compare(target, comparison) => comparison.matches(&leaves(target, resource)),
            Self::Within(target, filter) => values(target.attribute_value(resource)).iter().any(|v| filter.matches(v)),
        }
    }
}

impl ValueFilter {
    fn ranges(&self, over: &Target, is_indexed: IsIndexed<'_>) -> Vec<Vec<Range>> {
        match self {
            Self::Compare(sub, comparison) => comparison.0.ways(&Target { sub: Some(sub), ..*over }, is_indexed),
            Self::All(items) => items.iter().flat_map(|item| item.ranges(over, is_indexed)).take(MOST_WAYS).collect(),
            Self::Any(_) | Self::Not(_) | Self::Present(_) => Vec::new(),
        }
    }

    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Self::All(items) => items.iter().all(|n| n.matches(value)),
            Self::Any(items) => items.iter().any(|n| n.matches(value)),
            Self::Not(inner) => !inner.matches(value),
            Self::Present(sub) => value.get(sub.name).is_some_and(is_present),
            Self::Compare(sub, comparison) => comparison.0.matches(&values(value.get(sub.name))),
        }
    }

    /// The values that a new element must have to match, when the filter says so by equality alone.
    pub fn as_template(&self) -> Option<Vec<(&'static str, Value)>> {
        match self {
            Self::Compare(sub, comparison) if comparison.0.op == ast::CompareOp::Eq => {
                let value = match &comparison.0.operand {
                    Operand::Text(text) => Value::from(text.as_str()),
                    Operand::Boolean(flag) => Value::from(*flag),
                    Operand::Number(number) => Value::Number(number.clone()),
                    Operand::Null | Operand::Time(_) => return None,
                };
                Some(vec![(sub.name, value)])
            }
            Self::All(items) => {
                let parts = items.iter().map(Self::as_template).collect::<Option<Vec<_>>>()?;
                Some(parts.into_iter().flatten().collect())
            }
            _ => None,
        }
    }
}

impl ValueFilter {
    /// The values of `value` that it chooses, when it is nothing but equalities on it.
    pub fn as_values(&self) -> Option<Vec<&str>> {
        match self {
            Self::Compare(sub, comparison) if sub.name == "value" && comparison.0.op == ast::CompareOp::Eq => {
                match &comparison.0.operand {
                    Operand::Text(text) => Some(vec![text]),
                    _ => None,
                }
            }
            Self::Any(items) => {
                let parts = items.iter().map(Self::as_values).collect::<Option<Vec<_>>>()?;
                Some(parts.into_iter().flatten().collect())
            }
            _ => None,
        }
    }
}

/// Whole numbers exactly, others as far as a double goes.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |n: &Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

impl Comparison {
    fn ways(&self, target: &Target, is_indexed: IsIndexed<'_>) -> Vec<Vec<Range>> {
        let range = self.range(target).filter(|range| is_indexed(&range.path));
        range.map(|range| vec![range]).into_iter().collect()
    }

    fn range(&self, target: &Target) -> Option<Range> {
        use ast::CompareOp::{Eq, Ge, Gt, Le, Lt, Sw};
        let comparing = match self.op {
            Eq => Comparing::Equal,
            Sw => Comparing::Begins,
            Gt | Ge => Comparing::AtLeast,
            Lt | Le => Comparing::AtMost,
            _ => return None,
        };
        let value = match &self.operand {
            Operand::Boolean(flag) => Value::Bool(*flag),
            Operand::Text(text) => Value::from(text.as_str()),
            Operand::Time(at) => Value::from(at.to_string()),
            Operand::Null | Operand::Number(_) => return None,
        };
        range(target, comparing, &value)
    }

    fn matches(&self, values: &[&Value]) -> bool {
        use ast::CompareOp::{Eq, Ne};
        match (&self.op, &self.operand) {
            (Eq, Operand::Null) => !values.iter().any(|v| is_present(v)),
            (Ne, Operand::Null) => values.iter().any(|v| is_present(v)),
            // The opposite of eq, so that an identity without the attribute also differs.
            (Ne, _) => !values.iter().any(|v| self.matches_one(&Eq, v)),
            (op, _) => values.iter().any(|v| self.matches_one(op, v)),
        }
    }

    fn matches_one(&self, op: &ast::CompareOp, value: &Value) -> bool {
        match (&self.operand, value) {
            (Operand::Boolean(wanted), Value::Bool(found)) => holds(op, found.cmp(wanted)),
            (Operand::Number(wanted), Value::Number(found)) => {
                compare_numbers(found, wanted).is_some_and(|o| holds(op, o))
            }
            (Operand::Time(wanted), Value::String(found)) => {
                found.parse::<Timestamp>().is_ok_and(|found| holds(op, found.cmp(wanted)))
            }
            (Operand::Text(wanted), Value::String(found)) => match self.case {
                Case::Exact => text_matches(op, found, wanted),
                Case::Insensitive => text_matches(op, &found.to_lowercase(), &wanted.to_lowercase()),
            },
            _ => false,
        }
    }
}

fn text_matches(op: &ast::CompareOp, found: &str, wanted: &str) -> bool {
    use ast::CompareOp::{Co, Ew, Sw};
    match op {
        Co => found.contains(wanted),
        Sw => found.starts_with(wanted),
        Ew => found.ends_with(wanted),
        _ => holds(op, found.cmp(wanted)),
    }
}

fn holds(op: &ast::CompareOp, ordering: Ordering) -> bool {
    use ast::CompareOp::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
    match op {
        Eq => ordering.is_eq(),
        Ne => ordering.is_ne(),
        Gt => ordering.is_gt(),
        Ge => ordering.is_ge(),
        Lt => ordering.is_lt(),
        Le => ordering.is_le(),
        Co | Sw | Ew => false,
    }
}

fn values(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
    }
}

fn leaves<'a>(target: &Target, resource: &'a Value) -> Vec<&'a Value> {
    let whole = values(target.attribute_value(resource));
    match target.sub {
        None => whole,
        Some(sub) => whole.into_iter().filter_map(|v| v.get(sub.name)).flat_map(|v| values(Some(v))).collect(),
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
