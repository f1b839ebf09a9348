"""Which calls to AWS a function's code can come to, read from the source without running it.

A call graph by types: every function here is annotated, so what stands before a dot has a type that
can be told from annotations, and the graph has an edge for each function, method and property that
a body mentions, called or handed on. A callable that is kept in a field counts from where the field
is read. No branch is ruled out: what the graph reaches may be called, what it does not reach
cannot. Calls on something whose type cannot be told are listed as `blind`, by their names.
What is called by a name that is made at run time (`getattr`) is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "videoconductor"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Call:
    """A method of a client of AWS, `S3Client.put_object`, and what is told with it."""

    name: str
    first: str = ""  # its first argument, if that is a literal string


@dataclass
class Facts:
    """What one body mentions."""

    to: set[str] = field(default_factory=set)  # other nodes of the graph
    calls: set[Call] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)  # `Class.field` that it reads
    made: set[str] = field(default_factory=set)  # classes that it calls
    names: set[str] = field(default_factory=set)  # every bare name and literal string
    options: set[tuple[str, str]] = field(default_factory=set)  # keyword and literal argument
    blind: set[str] = field(default_factory=set)


class Code:
    """The modules of a source tree: the package and the functions' files."""

    def __init__(self, root: Path, changed: Mapping[str, str] | None = None) -> None:
        """`changed` has other texts for some files, by their paths under `root`."""
        self._root, self._changed = root, changed or {}
        package = root / "layers/videoconductor/python"
        self.trees: dict[str, ast.Module] = {}
        self.scopes: dict[str, dict[str, str]] = {}
        self.nodes: dict[str, ast.AST] = {}
        self.home: dict[str, str] = {}  # the module of a node
        self.bound: dict[str, set[str]] = {}  # `Class.field`: what was handed in
        self.captured: dict[str, dict[str, str | None]] = {}  # of a lambda: names around it
        for path in sorted((package / PACKAGE).rglob("*.py")):
            name = ".".join(path.relative_to(package).with_suffix("").parts)
            self._take(name.removesuffix(".__init__"), path)
        for path in sorted(root.glob("functions/*/app.py")):
            self._take(f"functions.{path.parent.name}", path)
        self._facts: dict[str, Facts] = {}
        for module, tree in self.trees.items():  # what is handed to fields, wherever that is
            self.nodes[f"{module}.<module>"], self.home[f"{module}.<module>"] = tree, module
        for name in list(self.nodes):
            self.facts(name)

    def _take(self, module: str, path: Path) -> None:
        text = self._changed.get(path.relative_to(self._root).as_posix())
        tree = ast.parse(path.read_text("utf-8") if text is None else text)
        self.trees[module], self.scopes[module] = tree, {}
        for node in ast.walk(tree):
            self._import(module, node)
        self._define(module, module, tree)

    def _import(self, module: str, node: ast.AST) -> None:
        scope = self.scopes[module]
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                scope[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                scope[alias.asname or alias.name.split(".")[0]] = alias.name

    def _define(self, module: str, prefix: str, tree: ast.Module | ast.ClassDef) -> None:
        for node in tree.body:
            if isinstance(node, Function | ast.ClassDef):
                name = f"{prefix}.{node.name}"
                self.nodes[name], self.home[name] = node, module
                if prefix == module:
                    self.scopes[module][node.name] = name
                if isinstance(node, ast.ClassDef):
                    self._define(module, name, node)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and prefix == module:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        name = f"{module}.{target.id}"
                        self.scopes[module][target.id] = name
                        self.nodes[name], self.home[name] = node, module

    def resolve(self, name: str) -> str:
        """Where a dotted name leads, through imports of imports."""
        for _ in range(10):
            if name in self.nodes or name in self.trees:
                return name
            module, _, last = name.rpartition(".")
            if module not in self.scopes or last not in self.scopes[module]:
                return name
            name = self.scopes[module][last]
        return name

    def is_class(self, name: str | None) -> bool:
        return isinstance(self.nodes.get(name or ""), ast.ClassDef)

    def is_function(self, name: str | None) -> bool:
        return isinstance(self.nodes.get(name or ""), Function)

    @cached_property
    def bases(self) -> dict[str, list[str]]:
        """Of each class, those above it."""
        return {
            name: [
                found
                for base in node.bases
                if (found := self.annotated(base, self.home[name])) is not None
            ]
            for name, node in self.nodes.items()
            if isinstance(node, ast.ClassDef)
        }

    @cached_property
    def below(self) -> dict[str, set[str]]:
        """Of each class, those that may stand in its place: below it, or fit for a Protocol."""
        found = {name: {name} for name in self.bases}
        for name, above in self.bases.items():
            for base in above:
                if base in found:
                    found[base].add(name)
        for name in [name for name, above in self.bases.items() if "typing.Protocol" in above]:
            wanted = self.methods(name)
            found[name] |= {other for other in self.bases if wanted <= self.methods(other)}
        return found

    def methods(self, name: str) -> set[str]:
        node = self.nodes[name]
        assert isinstance(node, ast.ClassDef)
        return {one.name for one in node.body if isinstance(one, Function)}

    def member(self, owner: str, name: str) -> str | None:
        """The node of a method or property of a class, or of one above it."""
        if f"{owner}.{name}" in self.nodes:
            return f"{owner}.{name}"
        for base in self.bases.get(owner, ()):
            if self.is_class(base) and (found := self.member(base, name)):
                return found
        return None

    def annotated(self, node: ast.AST | None, module: str) -> str | None:
        """The class that an annotation is about; of a container, the class of what is in it."""
        match node:
            case ast.Constant(value=str() as text):
                return self.annotated(ast.parse(text, mode="eval").body, module)
            case ast.Name(id=name):
                found = self.resolve(self.scopes[module].get(name, name))
                aliased = self.nodes.get(found)
                if isinstance(aliased, ast.Assign | ast.AnnAssign):
                    return self.annotated(aliased.value, self.home[found])
                return found
            case ast.Attribute(value=value, attr=attr):
                left = self.annotated(value, module)
                return self.resolve(f"{left}.{attr}")
            case ast.BinOp(left=left_side, right=right):
                either = (self.annotated(side, module) for side in (left_side, right))
                return next((one for one in either if self._is_known(one)), None)
            case ast.Subscript(value=value, slice=inner):
                outer = self.annotated(value, module)
                if outer is not None and outer.split(".")[-1] in {"Callable", "Literal"}:
                    return None
                if self.is_class(outer):
                    return outer
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                inside = (self.annotated(part, module) for part in parts)
                return next((one for one in inside if self._is_known(one)), None)
        return None

    def _is_known(self, name: str | None) -> bool:
        return name is not None and (self.is_class(name) or "." in name)

    def returned(self, name: str) -> str | None:
        node = self.nodes[name]
        assert isinstance(node, Function)
        return self.annotated(node.returns, self.home[name])

    def field_type(self, owner: str, name: str) -> str | None:
        """The class of an attribute, by its annotation or by what __init__ puts there."""
        node, module = self.nodes[owner], self.home[owner]
        assert isinstance(node, ast.ClassDef)
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and getattr(one.target, "id", "") == name:
                return self.annotated(one.annotation, module)
        if (begin := self.nodes.get(f"{owner}.__init__")) and isinstance(begin, Function):
            body = Body(self, f"{owner}.__init__", begin)
            for one in ast.walk(begin):
                if isinstance(one, ast.Assign) and _kept(one.targets[0]) == name:
                    return body.kind(one.value)
        for base in self.bases[owner]:
            if self.is_class(base) and (found := self.field_type(base, name)):
                return found
        return None

    def gives(self, owner: str, name: str) -> str | None:
        """The class of what a callable returns that a field keeps."""
        node = self.nodes[owner]
        assert isinstance(node, ast.ClassDef)
        for one in node.body:
            match one:
                case ast.AnnAssign(
                    target=ast.Name(id=found),
                    annotation=ast.Subscript(
                        value=ast.Name(id="Callable"), slice=ast.Tuple(elts=[_, result])
                    ),
                ) if found == name:
                    return self.annotated(result, self.home[owner])
        return None

    def keeps(self, owner: str, parameter: str | int) -> str:
        """`Class.field` in which a constructor's argument ends."""
        begin = self.nodes.get(f"{owner}.__init__")
        node = self.nodes[owner]
        assert isinstance(node, ast.ClassDef)
        if isinstance(begin, Function):
            names = [one.arg for one in (*begin.args.args[1:], *begin.args.kwonlyargs)]
            name = names[parameter] if isinstance(parameter, int) else parameter
            for one in ast.walk(begin):
                if isinstance(one, ast.Assign) and getattr(one.value, "id", "") == name:
                    return f"{owner}.{_kept(one.targets[0])}"
            return f"{owner}.{name}"
        fields = [
            getattr(one.target, "id", "") for one in node.body if isinstance(one, ast.AnnAssign)
        ]
        return f"{owner}.{fields[parameter] if isinstance(parameter, int) else parameter}"

    def facts(self, name: str) -> Facts:
        if name not in self._facts:
            node = self.nodes[name]
            self._facts[name] = (
                Body(self, name, node).facts()
                if isinstance(node, Function | ast.Lambda | ast.Module)
                else Facts()
            )
        return self._facts[name]

    def reached(self, root: str) -> dict[str, Facts]:
        """Every node that may be run when `root` is, with its facts."""
        found: dict[str, Facts] = {}
        read: set[str] = set()
        waiting = [root]
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.nodes:
                continue
            facts = found[name] = self.facts(name)
            waiting += facts.to
            read |= facts.fields
            for one in read:
                waiting += self.bound.get(one, ())
        return found


def _kept(target: ast.AST) -> str | None:
    is_own = isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self"
    return target.attr if is_own and isinstance(target, ast.Attribute) else None


class Body:
    """One function's body, what is inside it included, but for lambdas that a field keeps."""

    def __init__(self, code: Code, name: str, node: ast.AST) -> None:
        self._code, self._name, self._node = code, name, node
        self._module = code.home[name]
        owner = name.rpartition(".")[0]
        self._owner = owner if code.is_class(owner) else None
        self._locals: dict[str, str | None] = {}
        self._aside: set[int] = set()  # ids of lambdas and names that a field keeps
        self._locals |= code.captured.get(name, {})
        if not isinstance(node, ast.Module):
            self._learn()

    def _learn(self) -> None:  # noqa: C901 - a case for each way to name something
        for part in ast.walk(self._node):
            if isinstance(part, ast.arg):
                of_self = self._owner if part.arg == "self" else None
                annotated = self._code.annotated(part.annotation, self._module)
                self._locals[part.arg] = annotated or of_self
        for _ in range(2):  # what is learned from what is learned
            for part in ast.walk(self._node):
                match part:
                    case ast.Assign(targets=[ast.Name(id=name)], value=value):
                        self._locals[name] = self.kind(value)
                    case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
                        values = (
                            value.elts if isinstance(value, ast.Tuple) else [value] * len(names)
                        )
                        for one, given in zip(names, values, strict=False):
                            if isinstance(one, ast.Name):
                                self._locals[one.id] = self.kind(given)
                    case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                        self._locals[name] = self._code.annotated(annotation, self._module)
                    case ast.NamedExpr(target=ast.Name(id=name), value=value):
                        self._locals[name] = self.kind(value)
                    case ast.For(target=ast.Name(id=name), iter=value):
                        self._locals[name] = self.kind(value)
                    case ast.comprehension(target=ast.Name(id=name), iter=value):
                        self._locals[name] = self.kind(value)
                    case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                        self._locals[name] = self.kind(value)

    def kind(self, node: ast.AST) -> str | None:  # noqa: C901 - a case for each expression
        """The class of an expression's value, as `annotated` has it; None if it cannot be told."""
        match node:
            case ast.Name(id=name):
                return self._locals.get(name)
            case ast.Call(func=function):
                target = self.target(function)
                if self._code.is_class(target):
                    return target
                if self._code.is_function(target) and target is not None:
                    return self._code.returned(target)
                if target is not None and _is_foreign(target):
                    return target
                if isinstance(function, ast.Attribute) and self._code.is_class(
                    owner := self.kind(function.value)
                ):
                    return self._code.gives(str(owner), function.attr)
                return None
            case ast.Attribute(value=value, attr=attr):
                owner = self.kind(value)
                if not self._code.is_class(owner) or owner is None:
                    return None
                member = self._code.member(owner, attr)
                if self._code.is_function(member) and member is not None:
                    return self._code.returned(member)  # a property
                return self._code.field_type(owner, attr)
            case ast.Subscript(value=value) | ast.Await(value=value) | ast.Starred(value=value):
                return self.kind(value)
            case ast.IfExp(body=one, orelse=other):
                return self.kind(one) or self.kind(other)
            case ast.BoolOp(values=values):
                return next((found for one in values if (found := self.kind(one))), None)
            case ast.NamedExpr(value=value):
                return self.kind(value)
        return None

    def target(self, node: ast.AST) -> str | None:
        """The node of the graph, or the foreign thing, that an expression names."""
        match node:
            case ast.Name(id=name) if name not in self._locals:
                scope = self._code.scopes[self._module]
                return self._code.resolve(scope[name]) if name in scope else None
            case ast.Attribute(value=value, attr=attr):
                owner = self.kind(value)
                if owner is not None:
                    if self._code.is_class(owner):
                        return self._code.member(owner, attr)
                    return f"{owner}.{attr}"
                left = self.target(value)
                if left is None:
                    return None
                if self._code.is_class(left):
                    return self._code.member(left, attr)
                return self._code.resolve(f"{left}.{attr}")
            case ast.Subscript(value=value):  # of a dict of classes, one for all
                rows = self._code.nodes.get(self.target(value) or "")
                if isinstance(rows, ast.Assign) and isinstance(rows.value, ast.Dict):
                    return self.target(rows.value.values[0])
        return None

    def facts(self) -> Facts:
        found = Facts()
        for part in self._parts(self._node):
            if isinstance(part, ast.Call):
                self._keep_callables(part)
        for part in self._parts(self._node):
            self._mention(part, found)
        return found

    def _parts(self, node: ast.AST) -> Iterator[ast.AST]:
        """Every node inside, but for what is kept aside."""
        for child in ast.iter_child_nodes(node):
            is_own_node = isinstance(self._node, ast.Module) and isinstance(
                child, Function | ast.ClassDef
            )
            if id(child) not in self._aside and not is_own_node:
                yield child
                yield from self._parts(child)

    def _keep_callables(self, call: ast.Call) -> None:
        """Functions that are handed to a constructor run where its field is read."""
        made = self.target(call.func)
        if made is None or not self._code.is_class(made):
            return
        given: list[tuple[str | int, ast.AST]] = [*enumerate(call.args)]
        given += [(one.arg, one.value) for one in call.keywords if one.arg]
        for place, value in given:
            if isinstance(value, ast.Lambda):
                name = f"{self._name}.<lambda {value.lineno}>"
                self._code.nodes[name], self._code.home[name] = value, self._module
                self._code.captured[name] = dict(self._locals)
                node = name
            elif self._code.is_function(target := self.target(value)) and not isinstance(
                value, ast.Call
            ):
                node = str(target)
            else:
                continue
            self._aside.add(id(value))
            self._code.bound.setdefault(self._code.keeps(made, place), set()).add(node)

    def _mention(self, part: ast.AST, found: Facts) -> None:
        if isinstance(part, ast.Name):
            found.names.add(part.id)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.names.add(part.value)
        if isinstance(part, ast.Call):
            self._mention_call(part, found)
        if not isinstance(part, ast.Name | ast.Attribute):
            return
        target = self.target(part)
        if self._code.is_class(target) and target is not None:
            for one in ("__init__", "__post_init__"):
                found.to |= {node for node in [self._code.member(target, one)] if node}
        elif self._code.is_function(target):
            found.to.add(str(target))
        if isinstance(part, ast.Attribute):
            owner = self.kind(part.value)
            for other in self._code.below.get(owner or "", ()):
                found.to |= {node for node in [self._code.member(other, part.attr)] if node}
                found.fields.add(f"{other}.{part.attr}")

    def _mention_call(self, call: ast.Call, found: Facts) -> None:
        target = self.target(call.func)
        if self._code.is_class(target):
            found.made.add(str(target))
        for one in call.keywords:
            if one.arg and (value := self._literal(one.value)) is not None:
                found.options.add((one.arg, value))
        if not isinstance(call.func, ast.Attribute):
            return
        owner = self.kind(call.func.value)
        if owner is not None and owner.endswith("Client"):
            first = self._literal(call.args[0]) if call.args else None
            found.calls.add(Call(f"{owner.rpartition('.')[2]}.{call.func.attr}", first or ""))
        elif owner is None and target is None:
            found.blind.add(call.func.attr)

    def _literal(self, node: ast.AST) -> str | None:
        """The text of a literal, or of a constant of some module."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        kept = self._code.nodes.get(self.target(node) or "")
        if isinstance(kept, ast.Assign) and isinstance(kept.value, ast.Constant):
            return str(kept.value.value)
        return None


def _is_foreign(name: str) -> bool:
    """A client of AWS, as boto3 and botocore make it."""
    return name.startswith("mypy_boto3_")
