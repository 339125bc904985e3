//! Binding forms: symbols and vectors of them, matched with values (`spec/02 §7.10`).

use cells::{Cell, Vector};

use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::natives::leaf_views;
use crate::op::Pattern;
use crate::value;

/// The parameters of a function.
#[derive(Debug)]
pub(crate) struct Params {
    forms: Option<Vector>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    /// Symbols only; false for `_`.
    Fixed(Box<[bool]>),
    /// Symbols, of which the one at `at` takes what the others leave.
    Rest { names: Box<[bool]>, at: usize },
    /// Anything else.
    General,
}

/// Parameters that are kept taken apart.
const MAX_SHAPE: u64 = 256;

/// True for the symbol `&`.
pub(crate) fn is_rest_mark(form: &Cell) -> bool {
    matches!(form, Cell::Symbol(s) if s.name() == b"&")
}

impl Params {
    pub(crate) fn of(cell: &Cell) -> Outcome<Self> {
        let Cell::Vector(forms) = cell else {
            return Ok(Self {
                forms: None,
                shape: Shape::General,
            });
        };
        Ok(Self {
            forms: Some(forms.clone()),
            shape: shape(forms)?,
        })
    }

    pub(crate) fn weight(&self) -> usize {
        match &self.shape {
            Shape::Fixed(names) | Shape::Rest { names, .. } => names.len() / 16,
            Shape::General => 0,
        }
    }
}

fn shape(forms: &Vector) -> Outcome<Shape> {
    if forms.count() > MAX_SHAPE {
        return Ok(Shape::General);
    }
    let mut names = Vec::new();
    let mut rest = None;
    for form in forms.iter() {
        let form = form?;
        if is_rest_mark(&form) {
            if rest.replace(names.len()).is_some() {
                return Ok(Shape::General);
            }
            continue;
        }
        names.push(match Pattern::of(form) {
            Pattern::Name => true,
            Pattern::Ignore => false,
            Pattern::Other(_) => return Ok(Shape::General),
        });
    }
    Ok(match rest {
        None => Shape::Fixed(names.into()),
        Some(at) if at < names.len() => Shape::Rest {
            names: names.into(),
            at,
        },
        Some(_) => Shape::General,
    })
}

/// Binds the parameters of a function to its arguments.
pub(crate) fn parameters(ctx: &mut Context<'_>, params: &Params, args: &mut [Cell]) -> Outcome<()> {
    ctx.result = Cell::Nil;
    let view = ctx.view_next.take();
    let Some(forms) = &params.forms else {
        return Err(ctx.error(Code::Compile, "Function parameters must be a vector"));
    };
    match &params.shape {
        Shape::Fixed(names) if names.len() == args.len() => {
            for (named, arg) in names.iter().zip(args) {
                if *named {
                    ctx.locals.push(std::mem::replace(arg, Cell::Nil))?;
                }
            }
            Ok(())
        }
        Shape::Rest { names, at } if args.len() + 1 >= names.len() => {
            let taken = args.len() + 1 - names.len();
            let mut next = 0;
            for (i, named) in names.iter().enumerate() {
                let value = if i == *at {
                    let rest = &args[next..next + taken];
                    next += taken;
                    match &view {
                        Some(view) if taken == 1 && next == 2 => view.clone(),
                        _ => Cell::from(rest.iter().cloned().collect::<Vector>().into_view()),
                    }
                } else {
                    next += 1;
                    std::mem::replace(&mut args[next - 1], Cell::Nil)
                };
                if *named {
                    ctx.locals.push(value)?;
                }
            }
            Ok(())
        }
        _ => arguments(ctx, forms, args),
    }
}

/// Binds a vector of forms to a list of arguments.
pub(crate) fn arguments(ctx: &mut Context<'_>, forms: &Vector, args: &[Cell]) -> Outcome<()> {
    bind_vector(ctx, forms.clone(), Elements::Args(args.to_vec()))
}

/// Binds a form to a value.
pub(crate) fn bind(ctx: &mut Context<'_>, form: &Cell, value: Cell) -> Outcome<()> {
    ctx.result = Cell::Nil;
    match form {
        Cell::Symbol(s) => {
            if s.name() != b"_" {
                ctx.locals.push(value)?;
            }
            Ok(())
        }
        Cell::Vector(forms) => {
            let elements = Elements::of(ctx, value)?;
            bind_vector(ctx, forms.clone(), elements)
        }
        _ => Err(not_a_form(ctx)),
    }
}

fn not_a_form(ctx: &Context<'_>) -> Exit {
    ctx.error(Code::Compile, "Bad binding form")
}

/// What a vector of forms is matched with.
enum Elements {
    Args(Vec<Cell>),
    Data(Cell, u64),
}

impl Elements {
    fn of(ctx: &Context<'_>, value: Cell) -> Outcome<Self> {
        if value.is_nil() {
            return Ok(Self::Args(Vec::new()));
        }
        if !value::is_data_structure(&value) {
            let text = "Trying to destructure an argument that is not a sequential collection";
            return Err(ctx.error(Code::Cast, text));
        }
        let count = value::count(&value)?.unwrap_or(0);
        Ok(Self::Data(value, count))
    }

    fn count(&self) -> u64 {
        match self {
            Self::Args(args) => args.len() as u64,
            Self::Data(_, count) => *count,
        }
    }

    fn get(&self, i: u64) -> Outcome {
        Ok(match self {
            Self::Args(args) => args.get(i as usize).cloned(),
            Self::Data(value, _) => value::element(value, i)?,
        }
        .unwrap_or(Cell::Nil))
    }

    /// Elements `start..start + n` as a vector.
    fn range(&self, start: u64, n: u64) -> Outcome {
        // Few elements are copied one by one, so that all of a view of `reduce` makes a value of its own.
        if let Self::Data(Cell::Vector(v), count) = self
            && *count > 16
            && let Some(part) = leaf_views::part(&v.clone().without_view(), start, start + n)?
        {
            return Ok(Cell::from(part));
        }
        let mut part = Vec::new();
        for i in start..start + n {
            part.push(self.get(i)?);
        }
        let part: Vector = part.into_iter().collect();
        Ok(Cell::from(match self {
            Self::Args(_) => part.into_view(),
            // All of a set is the vector that it is looked at through.
            Self::Data(Cell::Set(_), count) if n == *count => part.into_view(),
            Self::Data(..) => part,
        }))
    }
}

/// One vector of forms being matched.
struct Level {
    forms: Vector,
    elements: Elements,
    at: u64,
    /// Set once `&` has been passed.
    rest: bool,
}

/// Matches nested vectors of forms. The nesting is as deep as the code says, so it is not recursion.
fn bind_vector(ctx: &mut Context<'_>, forms: Vector, elements: Elements) -> Outcome<()> {
    let mut levels = vec![Level {
        forms,
        elements,
        at: 0,
        rest: false,
    }];
    while let Some(level) = levels.last_mut() {
        let (total, count) = (level.forms.count(), level.elements.count());
        if level.at >= total {
            if !level.rest && total != count {
                let text = format!(
                    "Expected {total} arguments but got {count} for binding form: {}",
                    value::brief_text(&Cell::from(level.forms.clone()))
                );
                return Err(ctx.error(Code::Arity, text.as_str()));
            }
            levels.pop();
            continue;
        }
        let form = level.forms.get(level.at)?.unwrap_or(Cell::Nil);
        let (form, value) = if is_rest_mark(&form) {
            if level.rest {
                return Err(ctx.error(
                    Code::Compile,
                    "Can't bind two or more ampersands in one form",
                ));
            }
            if level.at + 1 >= total {
                return Err(ctx.error(Code::Compile, "Can't bind ampersand at end of binding form"));
            }
            level.rest = true;
            let after = total - level.at - 2;
            let Some(taken) = (count - level.at.min(count))
                .checked_sub(after)
                .filter(|_| level.at <= count)
            else {
                return Err(ctx.error(
                    Code::Arity,
                    "Insufficient arguments to allow variadic binding",
                ));
            };
            let form = level.forms.get(level.at + 1)?.unwrap_or(Cell::Nil);
            if matches!(level.elements, Elements::Data(..)) {
                ctx.copy_unpaid(taken)?;
            }
            let value = level.elements.range(level.at, taken)?;
            level.at += 2;
            (form, value)
        } else {
            let i = if level.rest {
                count.checked_sub(total - level.at)
            } else {
                Some(level.at)
            };
            let Some(i) = i.filter(|&i| i < count) else {
                return Err(insufficient(ctx, level));
            };
            level.at += 1;
            (form, level.elements.get(i)?)
        };
        ctx.result = Cell::Nil;
        match &form {
            Cell::Symbol(s) => {
                if s.name() != b"_" {
                    ctx.locals.push(value)?;
                }
            }
            Cell::Vector(forms) => {
                let elements = Elements::of(ctx, value)?;
                levels.push(Level {
                    forms: forms.clone(),
                    elements,
                    at: 0,
                    rest: false,
                });
            }
            _ => return Err(not_a_form(ctx)),
        }
    }
    Ok(())
}

fn insufficient(ctx: &Context<'_>, level: &Level) -> Exit {
    let text = format!(
        "Insufficient arguments ({}) for binding form: {}",
        level.elements.count(),
        value::brief_text(&Cell::from(level.forms.clone()))
    );
    ctx.error(Code::Arity, text.as_str())
}
