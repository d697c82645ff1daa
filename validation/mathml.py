"""A study's formulas as mathematics on pages: MathML, which browsers show without a script."""

import ast
import html

OPERATORS: dict[type[ast.AST], tuple[int, str]] = {
    ast.Add: (1, "+"), ast.Sub: (1, "−"), ast.Mult: (2, "\N{INVISIBLE TIMES}"), ast.Div: (4, ""), ast.Pow: (5, ""),
    ast.USub: (3, "−"), ast.UAdd: (3, "+"),
}  # fmt: skip
"""How strongly operators bind, and their signs. A fraction is a block: nothing outside can take it apart."""

ATOM = 6
"""How strongly a name, a number or a bracket binds."""

NAMES = {"pi": "π"}


def mathml(text: str) -> str:
    """A formula of `kinlim.formula`, as inline MathML, in which every name and number is escaped."""
    body, _ = _walk(ast.parse(str(text).strip(), mode="eval").body)
    return f"<math>{body}</math>"


def _walk(node: ast.AST) -> tuple[str, int]:
    """What stands for a node, and how strongly it binds."""
    match node:
        case ast.Constant():
            return f"<mn>{html.escape(str(node.value))}</mn>", ATOM
        case ast.Name():
            return _name(node.id), ATOM
        case ast.UnaryOp():
            strength, sign = OPERATORS[type(node.op)]
            return f"<mrow><mo>{sign}</mo>{_within(node.operand, strength)}</mrow>", strength
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"<mfrac>{_walk(left)[0]}{_walk(right)[0]}</mfrac>", OPERATORS[ast.Div][0]
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"<msup>{_within(left, ATOM)}{_walk(right)[0]}</msup>", OPERATORS[ast.Pow][0]
        case ast.BinOp():
            strength, sign = OPERATORS[type(node.op)]
            if isinstance(node.op, ast.Mult) and _begins_with_a_number(node.right):
                sign = "·"
            # what is subtracted keeps its brackets
            second = _within(node.right, strength + isinstance(node.op, ast.Sub))
            return f"<mrow>{_within(node.left, strength)}<mo>{sign}</mo>{second}</mrow>", strength
        case ast.Call(func=ast.Name(id="sqrt"), args=[one]):
            return f"<msqrt>{_walk(one)[0]}</msqrt>", ATOM
        case ast.Call(func=ast.Name(id="abs"), args=[one]):
            return f"<mrow><mo>|</mo>{_walk(one)[0]}<mo>|</mo></mrow>", ATOM
        case ast.Call(func=ast.Name(id=name), args=args):
            inside = "<mo>,</mo>".join(_walk(one)[0] for one in args)
            return f"<mrow><mi>{html.escape(name)}</mi>{_bracketed(inside)}</mrow>", ATOM
    raise ValueError(f"{ast.dump(node)} is in no formula")


def _within(node: ast.AST, strength: int) -> str:
    """The node, in brackets if it binds less strongly."""
    body, own = _walk(node)
    return body if own >= strength else f"<mrow>{_bracketed(body)}</mrow>"


def _bracketed(body: str) -> str:
    """The body in brackets, which grow around what is tall alone: a font without such signs grows them always."""
    tall = any(f"<{tag}>" in body for tag in ("mfrac", "msup", "msqrt"))
    fixed = "" if tall else ' stretchy="false"'
    return f"<mo{fixed}>(</mo>{body}<mo{fixed}>)</mo>"


def _begins_with_a_number(node: ast.AST) -> bool:
    while isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Div):
            return True
        node = node.left
    return isinstance(node, ast.Constant | ast.UnaryOp)


def _name(name: str) -> str:
    if len(name) == 2 and name[0] == "v":  # a component of a velocity
        return f"<msub><mi>v</mi><mi>{html.escape(name[1])}</mi></msub>"
    return f"<mi>{html.escape(NAMES.get(name, name))}</mi>"
