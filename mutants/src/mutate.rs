//! A file with all of its mutants in it: each is a branch `if crate::mutation::is(7) { mutant } else { original }`.
//!
//! In the branch of a mutant the code below it is the original's, since one mutant is switched on at a time; so the text
//! grows with the depth of expressions and not with the number of combinations. Macros, patterns, constants and test
//! modules stay as they are.

use proc_macro2::Span;
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, Lit, ReturnType, Stmt, Type, UnOp, parse_quote};

/// One mutant. The place is a function, and what it does is said by expressions: line numbers would rot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mutant {
    /// Number by which it is switched on.
    pub id: u32,
    /// File, from the root.
    pub file: String,
    /// Type and function.
    pub function: String,
    /// What becomes of what.
    pub change: String,
    /// Line in the file as it is now.
    pub line: usize,
}

impl Mutant {
    /// What names it for good.
    pub fn key(&self) -> (String, String, String) {
        (self.file.clone(), self.function.clone(), self.change.clone())
    }
}

/// The text of a file with mutants in it, and these; `next` is the first number free, `dropped` are not put in.
pub fn mutate(
    file: &str,
    text: &str,
    next: &mut u32,
    dropped: &BTreeSet<u32>,
) -> Result<(String, Vec<Mutant>), syn::Error> {
    let mut syntax = syn::parse_file(text)?;
    keep_for_constants(&mut syntax);
    let mut mutator = Mutator {
        file: file.to_owned(),
        next: *next,
        dropped,
        types: vec![],
        functions: vec![],
        mutants: vec![],
        seen: BTreeMap::new(),
    };
    mutator.visit_file_mut(&mut syntax);
    *next = mutator.next;
    Ok((syntax.to_token_stream().to_string(), mutator.mutants))
}

/// Gives the constants of a file copies of the functions that they call: switches are not constant.
fn keep_for_constants(syntax: &mut syn::File) {
    struct Calls(Vec<syn::ItemFn>, BTreeSet<syn::Ident>);
    impl VisitMut for Calls {
        fn visit_expr_call_mut(&mut self, call: &mut syn::ExprCall) {
            visit_mut::visit_expr_call_mut(self, call);
            let Expr::Path(path) = &mut *call.func else { return };
            let Some(of_file) = self.0.iter().find(|f| path.path.is_ident(&f.sig.ident)) else { return };
            self.1.insert(of_file.sig.ident.clone());
            path.path = kept(&of_file.sig.ident).into();
        }
    }
    let functions = syntax.items.iter().filter_map(|item| match item {
        syn::Item::Fn(f) => f.sig.constness.map(|_| f.clone()),
        _ => None,
    });
    let mut calls = Calls(functions.collect(), BTreeSet::new());
    for item in &mut syntax.items {
        if let syn::Item::Const(constant) = item {
            calls.visit_expr_mut(&mut constant.expr);
        }
    }
    for mut function in calls.0.into_iter().filter(|f| calls.1.contains(&f.sig.ident)) {
        function.sig.ident = kept(&function.sig.ident);
        syntax.items.push(syn::Item::Fn(function));
    }
}

/// Name of the copy of a function.
fn kept(name: &syn::Ident) -> syn::Ident {
    quote::format_ident!("{KEPT}{name}")
}

/// How names of copies begin.
const KEPT: &str = "kept_";

struct Mutator<'a> {
    file: String,
    next: u32,
    dropped: &'a BTreeSet<u32>,
    types: Vec<String>,
    functions: Vec<String>,
    mutants: Vec<Mutant>,
    /// How often a change was made in a function: equal ones are numbered.
    seen: BTreeMap<(String, String), usize>,
}

impl Mutator<'_> {
    /// A number for a mutant, `None` if it is not to be put in.
    fn number(&mut self, at: Span, change: String) -> Option<u32> {
        let mut function = self.types.last().cloned().unwrap_or_default();
        for name in &self.functions {
            if !function.is_empty() {
                function.push_str("::");
            }
            function.push_str(name);
        }
        let times = self.seen.entry((function.clone(), change.clone())).or_default();
        *times += 1;
        let change = if *times > 1 { format!("{change} ({times})") } else { change };
        let id = self.next;
        self.next += 1;
        self.mutants.push(Mutant { id, file: self.file.clone(), function, change, line: at.start().line });
        (!self.dropped.contains(&id)).then_some(id)
    }

    /// Puts alternatives before an expression.
    fn wrap(&mut self, e: &mut Expr, original: &Expr, alternatives: Vec<(Expr, String)>) {
        for (alternative, change) in alternatives {
            if let Some(id) = self.number(original.span(), change) {
                *e = parse_quote!((if crate::mutation::is(#id) { #alternative } else { #e }));
            }
        }
    }

    /// A condition that always holds, or never.
    fn force(&mut self, e: &mut Expr, original: &Expr, values: &[bool]) {
        let alternatives =
            values.iter().map(|v| (parse_quote!(#v), format!("condition `{}` → `{v}`", say(original)))).collect();
        self.wrap(e, original, alternatives);
    }

    /// A condition of `if`, `while` or a guard; `let` may be among what it joins.
    fn condition(&mut self, e: &mut Expr, values: &[bool]) {
        match e {
            Expr::Let(inner) => self.visit_expr_mut(&mut inner.expr),
            Expr::Binary(b) if matches!(b.op, BinOp::And(_)) && has_let(e) => {
                let Expr::Binary(b) = e else { unreachable!("matched above") };
                self.condition(&mut b.left, values);
                self.condition(&mut b.right, values);
            }
            _ => {
                let original = e.clone();
                self.visit_expr_mut(e);
                if !matches!(original, Expr::Lit(_)) {
                    self.force(e, &original, values);
                }
            }
        }
    }

    fn body(&mut self, block: &mut Block, output: &ReturnType) {
        let at = block.span();
        let values = values_of(output);
        self.visit_block_mut(block);
        for value in values {
            let said = value.to_token_stream().to_string().replace(' ', "");
            if let Some(id) = self.number(at, format!("body → `{said}`")) {
                block.stmts.insert(0, parse_quote!(if crate::mutation::is(#id) { return #value; }));
            }
        }
    }
}

impl VisitMut for Mutator<'_> {
    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        if !item.attrs.iter().any(|a| a.path().is_ident("cfg")) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_item_enum_mut(&mut self, _: &mut syn::ItemEnum) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        let Type::Path(path) = &*item.self_ty else { return };
        let name = path.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        self.types.push(name);
        visit_mut::visit_item_impl_mut(self, item);
        self.types.pop();
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        self.types.push(item.ident.to_string());
        visit_mut::visit_item_trait_mut(self, item);
        self.types.pop();
    }

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        if item.sig.ident.to_string().starts_with(KEPT) {
            return;
        }
        // Switches are not constant; constants have their own copy.
        item.sig.constness = None;
        self.functions.push(item.sig.ident.to_string());
        self.body(&mut item.block, &item.sig.output);
        self.functions.pop();
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        item.sig.constness = None;
        self.functions.push(item.sig.ident.to_string());
        self.body(&mut item.block, &item.sig.output);
        self.functions.pop();
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        self.functions.push(item.sig.ident.to_string());
        if let Some(block) = &mut item.default {
            self.body(block, &item.sig.output);
        }
        self.functions.pop();
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        let original = stmt.clone();
        visit_mut::visit_stmt_mut(self, stmt);
        let Stmt::Expr(e, Some(_)) = &original else { return };
        let is_assignment = match e {
            Expr::Binary(b) => is_assignment(&b.op),
            Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_) | Expr::Try(_) => true,
            _ => false,
        };
        if is_assignment && let Some(id) = self.number(e.span(), format!("without `{}`", say(e))) {
            *stmt = parse_quote!(if !crate::mutation::is(#id) { #stmt });
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        if let Some((_, guard)) = &mut arm.guard {
            self.condition(guard, &[true, false]);
        }
        let original = (*arm.body).clone();
        self.visit_expr_mut(&mut arm.body);
        if let Expr::MethodCall(_) = &original {
            // Of another type than (), it does not build, and is dropped.
            if let Some(id) = self.number(original.span(), format!("arm without `{}`", say(&original))) {
                let body = &arm.body;
                arm.body = parse_quote!(if crate::mutation::is(#id) { () } else { #body });
            }
        }
    }

    fn visit_expr_mut(&mut self, e: &mut Expr) {
        let original = e.clone();
        match e {
            Expr::If(x) => {
                self.condition(&mut x.cond, &[true, false]);
                self.visit_block_mut(&mut x.then_branch);
                if let Some((_, other)) = &mut x.else_branch {
                    self.visit_expr_mut(other);
                    // Else needs a block or an if; the visit may have put parentheses around it.
                    if !matches!(**other, Expr::If(_) | Expr::Block(_)) {
                        *other = parse_quote!({ #other });
                    }
                }
                return;
            }
            Expr::While(x) => {
                // `true` would only loop.
                self.condition(&mut x.cond, &[false]);
                self.visit_block_mut(&mut x.body);
                return;
            }
            Expr::Let(x) => return self.visit_expr_mut(&mut x.expr),
            Expr::Match(x) => {
                self.visit_expr_mut(&mut x.expr);
                let is_catch_all = x.arms.last().is_some_and(|a| a.guard.is_none() && catches_all(&a.pat));
                let last = x.arms.len().saturating_sub(1);
                for (i, arm) in x.arms.iter_mut().enumerate() {
                    let (at, said) = (arm.pat.span(), say(&arm.pat));
                    let guard = arm.guard.as_ref().map(|(_, g)| (has_let(g), say(g)));
                    self.visit_arm_mut(arm);
                    if !is_catch_all || i == last || guard.as_ref().is_some_and(|(has_let, _)| *has_let) {
                        continue;
                    }
                    let said = guard.map_or(said.clone(), |(_, g)| format!("{said} if {g}"));
                    if let Some(id) = self.number(at, format!("without arm `{said}`")) {
                        arm.guard = Some(match arm.guard.take() {
                            Some((token, g)) => (token, parse_quote!(!crate::mutation::is(#id) && (#g))),
                            None => (Default::default(), parse_quote!(!crate::mutation::is(#id))),
                        });
                    }
                }
                let is_bool = |a: &syn::Arm| matches!(&a.pat, syn::Pat::Lit(l) if matches!(l.lit, Lit::Bool(_)));
                if x.arms.iter().any(is_bool) {
                    let Expr::Match(m) = &original else { unreachable!("matched above") };
                    let scrutinee = &m.expr;
                    let negated = (parse_quote!(!(#scrutinee)), format!("match `{0}` → `!{0}`", say(scrutinee)));
                    self.wrap(&mut x.expr, scrutinee, vec![negated]);
                }
                return;
            }
            Expr::Repeat(x) => return self.visit_expr_mut(&mut x.expr),
            Expr::MethodCall(x) => {
                self.visit_expr_mut(&mut x.receiver);
                let is_predicate = PREDICATES.iter().any(|name| x.method == name);
                for arg in &mut x.args {
                    let original = arg.clone();
                    self.visit_expr_mut(arg);
                    let (Expr::Closure(new), Expr::Closure(old)) = (arg, &original) else { continue };
                    if is_predicate {
                        self.force(&mut new.body, &old.body, &[true, false]);
                    }
                }
            }
            Expr::Binary(x) if is_assignment(&x.op) => {
                // What is assigned to is a place, and stays one.
                self.visit_expr_mut(&mut x.right);
            }
            Expr::Assign(x) => return self.visit_expr_mut(&mut x.right),
            Expr::Unary(x) if matches!(x.op, UnOp::Neg(_)) && matches!(*x.expr, Expr::Lit(_)) => {}
            Expr::Index(_) | Expr::Field(_) | Expr::Reference(_) | Expr::Unary(_) => {
                // Places: only what computes within them.
                visit_mut::visit_expr_mut(self, e);
            }
            _ => visit_mut::visit_expr_mut(self, e),
        }
        self.wrap(e, &original, alternatives(&original));
    }
}

/// Methods that take a closure for a yes or no.
const PREDICATES: [&str; 17] = [
    "filter",
    "any",
    "all",
    "take_while",
    "skip_while",
    "position",
    "find",
    "is_some_and",
    "is_none_or",
    "retain",
    "partition_point",
    "next_if",
    "chunk_by",
    "is_sorted_by",
    "try_for_each",
    "max_by_key",
    "dedup_by",
];

/// Methods that answer yes or no.
const ANSWERS: [&str; 14] = [
    "is_some",
    "is_none",
    "is_empty",
    "is_ok",
    "is_err",
    "contains",
    "contains_key",
    "is_some_and",
    "is_none_or",
    "any",
    "all",
    "insert",
    "is_multiple_of",
    "is_sorted_by",
];

/// Methods that have another one in their place.
const EXCHANGED: [(&str, &str); 14] = [
    ("min", "max"),
    ("max", "min"),
    ("any", "all"),
    ("all", "any"),
    ("first", "last"),
    ("last", "first"),
    ("wrapping_add", "wrapping_sub"),
    ("wrapping_sub", "wrapping_add"),
    ("saturating_add", "wrapping_sub"),
    ("saturating_sub", "wrapping_add"),
    ("and", "or"),
    ("or", "and"),
    ("max_by_key", "min_by_key"),
    ("min_by_key", "max_by_key"),
];

fn alternatives(e: &Expr) -> Vec<(Expr, String)> {
    let mut out = Vec::new();
    let mut put = |to: Expr| {
        let change = format!("`{}` → `{}`", say(e), said(&to));
        out.push((to, change));
    };
    match e {
        Expr::Binary(b) => {
            let (left, right) = (&b.left, &b.right);
            if matches!(b.op, BinOp::And(_) | BinOp::Or(_)) && !has_let(e) {
                put((**left).clone());
                put((**right).clone());
            }
            for text in operators(&b.op) {
                let op: BinOp = syn::parse_str(text).expect("an operator");
                // Parentheses: a cast before `<` would be read as one with generics.
                let to = parse_quote!((#left) #op (#right));
                let change = format!("`{}` → `{} {text} {}`", say(e), say(left), say(right)).replace('|', "¦");
                out.push((to, change));
            }
        }
        Expr::Unary(u) if matches!(u.op, UnOp::Not(_) | UnOp::Neg(_)) => put((*u.expr).clone()),
        Expr::Lit(lit) => match &lit.lit {
            Lit::Bool(b) => {
                let other = !b.value;
                put(parse_quote!(#other));
            }
            Lit::Int(n) => {
                if let Ok(value) = n.base10_parse::<u128>() {
                    let mut number = |value: u128| {
                        let lit = syn::LitInt::new(&format!("{value}{}", n.suffix()), n.span());
                        put(parse_quote!(#lit));
                    };
                    if value != 255 && value < u128::from(u32::MAX) {
                        number(value + 1);
                    }
                    if value > 0 {
                        number(value - 1);
                    }
                }
            }
            _ => {}
        },
        Expr::MethodCall(call) => {
            if ANSWERS.iter().any(|name| call.method == name) {
                put(parse_quote!(!#call));
            }
            if let Some((_, other)) = EXCHANGED.iter().find(|(name, _)| call.method == name) {
                let mut to = call.clone();
                to.method = syn::Ident::new(other, call.method.span());
                put(Expr::MethodCall(to));
            }
        }
        Expr::Call(call) if matches!(&*call.func, Expr::Path(p) if p.path.is_ident("Some")) => put(parse_quote!(None)),
        Expr::Macro(m) if m.mac.path.is_ident("matches") => put(parse_quote!(!#m)),
        _ => {}
    }
    out
}

fn operators(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["&", "|"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        _ => &[],
    }
}

fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::BitXorAssign(_)
    )
}

fn catches_all(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Wild(_) => true,
        // A name in lower case binds; others are constants or variants.
        syn::Pat::Ident(p) => p.subpat.is_none() && p.ident.to_string().starts_with(|c: char| c.is_lowercase()),
        _ => false,
    }
}

/// Whether a condition binds names.
fn has_let(e: &Expr) -> bool {
    match e {
        Expr::Let(_) => true,
        Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

/// What a function may give without looking; nothing where the type is not a plain one.
fn values_of(output: &ReturnType) -> Vec<Expr> {
    let ReturnType::Type(_, ty) = output else { return vec![parse_quote!(())] };
    let said = ty.to_token_stream().to_string().replace(' ', "");
    let plain = |said: &str| -> Vec<Expr> {
        match said {
            "bool" => vec![parse_quote!(true), parse_quote!(false)],
            "()" => vec![parse_quote!(())],
            "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i128" => vec![parse_quote!(0), parse_quote!(1)],
            "String" => vec![parse_quote!(String::new())],
            "&'staticstr" => vec![parse_quote!("")],
            "B256" => vec![parse_quote!(B256::ZERO)],
            _ if said.starts_with("Vec<") => vec![parse_quote!(Vec::new())],
            _ => vec![],
        }
    };
    if let Some(inner) = said.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        let some = plain(inner).into_iter().map(|value| parse_quote!(Some(#value)));
        return std::iter::once(parse_quote!(None)).chain(some).collect();
    }
    if let Some(inner) = said.strip_prefix("Result<").and_then(|rest| rest.strip_suffix('>')) {
        let inner = inner.split(',').next().unwrap_or(inner);
        return plain(inner).into_iter().map(|value| parse_quote!(Ok(#value))).collect();
    }
    plain(&said)
}

/// An expression as it is written, white space aside.
fn say(of: &(impl Spanned + ToTokens)) -> String {
    let text = of.span().source_text().unwrap_or_else(|| of.to_token_stream().to_string());
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "¦")
}

/// A made expression: its parts are put back as they are written.
fn said(e: &Expr) -> String {
    match e {
        Expr::Unary(u) if matches!(u.op, UnOp::Not(_)) => match &*u.expr {
            Expr::MethodCall(_) | Expr::Macro(_) => format!("!{}", say(&u.expr)),
            _ => say(e),
        },
        Expr::MethodCall(m) => {
            let args: Vec<String> = m.args.iter().map(say).collect();
            format!("{}.{}({})", say(&m.receiver), m.method, args.join(", "))
        }
        Expr::Lit(l) => l.lit.to_token_stream().to_string(),
        Expr::Path(p) if p.path.is_ident("None") => "None".into(),
        _ => say(e),
    }
}

/// A line and a column.
pub type Point = (usize, usize);

/// A mutant in a mutated file.
pub struct Place {
    /// Its number.
    pub id: u32,
    /// First and last point of its branch.
    pub branch: (Point, Point),
    /// The same of branch and original together.
    pub whole: (Point, Point),
}

/// Finds the branches of mutants in a mutated file.
pub fn places(text: &str) -> Result<Vec<Place>, syn::Error> {
    struct Finder(Vec<Place>);
    impl<'a> Visit<'a> for Finder {
        fn visit_expr_if(&mut self, x: &'a syn::ExprIf) {
            let call = match &*x.cond {
                Expr::Unary(u) => &*u.expr,
                other => other,
            };
            if let Expr::Call(call) = call
                && let Expr::Path(path) = &*call.func
                && path.path.segments.last().is_some_and(|s| s.ident == "is")
                && let Some(Expr::Lit(lit)) = call.args.first()
                && let Lit::Int(n) = &lit.lit
                && let Ok(id) = n.base10_parse()
            {
                let points = |span: Span| {
                    let (start, end) = (span.start(), span.end());
                    ((start.line, start.column), (end.line, end.column))
                };
                self.0.push(Place { id, branch: points(x.then_branch.span()), whole: points(x.span()) });
            }
            syn::visit::visit_expr_if(self, x);
        }
    }
    let file = syn::parse_file(text)?;
    let mut finder = Finder(vec![]);
    finder.visit_file(&file);
    Ok(finder.0)
}
