"""`softaxis explain`: the numbers of the walk, the page, and what is refused."""

import math
import re
import subprocess
import sys

import pytest

import softaxis
from softaxis._cli._explain import walk
from softaxis._cli._layout import lay_out
from softaxis._cli._main import main
from softaxis._cli._render import show
from softaxis._cli._story import story

pytestmark = pytest.mark.skipif(
    "config.getoption('--library') != 'numpy'", reason="the command line hands lists to NumPy"
)

TEXTBOOK = ["--", "-1", "1", "2", "3"]


def explain(capsys, *argv):
    """Run `softaxis explain` and return what it printed."""
    assert main(["explain", *argv]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    return captured.out


def section(page, title):
    """Return the text under one heading as a single line."""
    lines = page.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(title)) + 2
    rules = [k for k, line in enumerate(lines) if set(line) == {"─"} and k > start]
    return " ".join(" ".join(lines[start : rules[0] - 1 if rules else None]).split())


def python(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )


def test_textbook(capsys):
    page = explain(capsys, *TEXTBOOK)
    assert "to two places: 0.01 0.09 0.24 0.66\n" in page
    assert "exp(-1) + exp(1) + exp(2) + exp(3) = 30.56," in page
    assert re.search(r"x - 3 +-4 +-2 +-1 +0\n", page)
    assert re.search(r"exp +0\.018 +0\.135 +0\.368 +1\.000\n", page)
    assert "0.018 + 0.135 + 0.368 + 1.000 = 1.522\n" in page
    assert re.search(r"p +0\.012 +0\.089 +0\.242 +0\.657\n", page)


def test_three_places(capsys):
    assert re.search(r"p +0\.219 +0\.539 +0\.242\n", explain(capsys, "0", "0.9", "0.1"))


def test_first_ideas(capsys):
    page = explain(capsys, "0.25", "1.23", "-0.8")
    first = section(page, "First idea")
    assert first.startswith("argmax: 0 1 0 ")
    assert "the gradient is zero everywhere" in first
    second = section(page, "Second idea")
    assert second.startswith("x / sum: 0.368 1.809 -1.176 The sum is 0.68.")
    assert 'a negative "probability" and others above 1' in second


@pytest.mark.parametrize(
    "numbers", ["-0.25 1 -0.75", "0", "0 0", "0.1 0.2 -0.3", "1.1 2.2 -3.3", "1e20 1 -1e20"]
)
def test_a_plain_sum_of_zero_is_undefined(capsys, numbers):
    page = explain(capsys, *numbers.split())
    second = section(page, "Second idea")
    assert second.startswith("x / sum: undefined The sum is 0")
    assert second.endswith("so the division is undefined.")
    assert not re.search(r"\b(inf|nan)\b", second)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ("-1 -2", "the smallest number gets the largest share"),
        ("1 2 3", "could pass for probabilities"),
        ("1e308 1e308", "The sum overflows, so the division is undefined."),
        ("1 1e-9 -1", "The sum is 1e-09."),
    ],
)
def test_why_the_plain_sum_fails(capsys, numbers, words):
    assert words in section(explain(capsys, *numbers.split()), "Second idea")


def test_argmax_hides_ties(capsys):
    first = section(explain(capsys, "2", "5", "5"), "First idea")
    assert first.startswith("argmax: 0 1 0")
    assert "Classes 1, 2 tie" in first


def test_argmax_stands_still_where_softmax_moves(capsys):
    step = 1e-6
    x = [0.3, 1.1, -0.4]
    p, moved = softaxis.softmax(x)[1], softaxis.softmax([0.3, 1.1 + step, -0.4])[1]
    first = section(explain(capsys, *map(str, x)), "First idea")
    rate = float(re.search(r"p \(1 - p\) = (\S+)\.$", first)[1])
    assert rate == pytest.approx((moved - p) / step, abs=5.1e-4)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ("1000 1001", "exp(1000) + exp(1001) = inf"),
        ("-1000 -1001", "exp(-1000) + exp(-1001) = 0"),
        ("1 2", "one 1000 among the numbers, and the sum is inf"),
    ],
)
def test_why_the_shift(capsys, numbers, words):
    assert words in section(explain(capsys, *numbers.split()), "Why subtract")


@pytest.mark.parametrize("temperature", [None, 0.5, 3.0, math.inf])
@pytest.mark.parametrize("sink", [None, -2.0, 0.0, 40.0])
@pytest.mark.parametrize("x", [[-1.0, 1.0, 2.0, 3.0], [0.0], [1000.0, 999.0], [0.5] * 20])
def test_the_steps_lead_to_the_result(x, sink, temperature):
    found = walk(x, temperature, sink)
    quotients = [exp / found.total for exp in found.exps]
    assert found.probabilities == pytest.approx(quotients, rel=1e-13, abs=1e-300)
    assert math.fsum(found.probabilities) == pytest.approx(1, rel=1e-14)
    expected = softaxis.softmax(x, temperature=temperature, sink=sink).tolist()
    assert list(found.probabilities[: len(x)]) == expected


def test_the_probabilities_are_those_of_softaxis(capsys, monkeypatch):
    monkeypatch.setattr(softaxis, "softmax", lambda x, **_: [0.125] * len(x))
    assert re.search(r"p +0\.125 +0\.125\n", explain(capsys, "1", "2"))


def test_temperature(capsys):
    page = explain(capsys, "1", "2", "4", "--temperature", "2")
    assert re.search(r"z = x / 2 +0\.5 +1 +2\n", page)
    assert re.search(r"z - 2 +-1\.5 +-1 +0\n", page)
    assert re.search(r"p +0\.140 +0\.231 +0\.629\n", page)


def test_temperature_zero_shares_among_the_largest(capsys):
    page = explain(capsys, "1", "4", "4", "--temperature", "0")
    assert re.search(r"\(x - 4\) / t +-inf +0 +0\n", page)
    assert re.search(r"p +0\.000 +0\.500 +0\.500\n", page)
    assert "softmax at temperature 0 inherits that" in page


def test_temperature_inf_is_uniform(capsys):
    page = explain(capsys, "1", "4", "4", "9", "--temperature", "inf")
    assert re.search(r"p +0\.250 +0\.250 +0\.250 +0\.250\n", page)


def test_sink(capsys):
    page = explain(capsys, "0", "0", "--sink", "0")
    assert re.search(r"class +0 +1 +none\n", page)
    assert re.search(r"p +0\.333 +0\.333 +0\.333\n", page)
    rows = [line for line in page.splitlines() if re.match(r" +(none|0|1) +0 +0\.333 +█", line)]
    assert len(rows) == 3
    assert len({row.count("█") for row in rows}) == 1


def test_two_numbers_are_a_sigmoid(capsys):
    last = section(explain(capsys, "-1", "1.5"), "Two numbers")
    assert last.startswith("p[0] = exp(x[0]) / (exp(x[0]) + exp(x[1])) = 1 / (1 + exp(-(x[0]")
    assert "= sigmoid(-1 - 1.5) = 0.076." in last
    assert "sigmoid" not in explain(capsys, "1", "2", "3")


@pytest.mark.parametrize(
    ("temperature", "sink"),
    [(None, None), (0.0, None), (0.25, None), (math.inf, None), (None, 1.0), (0.25, 1.0)],
)
def test_the_sigmoid_is_the_share_of_the_first(sink, temperature):
    found = walk([2.0, -1.0], temperature, sink)
    first, second = found.probabilities[:2]
    assert found.sigmoid == pytest.approx(first / (first + second), rel=1e-14)


def test_label(capsys):
    page = section(explain(capsys, *TEXTBOOK, "--label", "2"), "Cross-entropy for label 2")
    assert page.startswith("loss = -log(p[2]) = logsumexp(x) - x[2] = 1.420 ")
    assert "0 0.012 0 0.012 1 0.089 0 0.089 2 0.242 1 -0.758 3 0.657 0 0.657" in page


@pytest.mark.parametrize("sink", [None, 1.5])
def test_the_gradient_is_p_minus_y(sink):
    found = walk([0.3, -2.0, 1.0], temperature=2.0, sink=sink, label=0)
    slopes = [p - (k == 0) for k, p in enumerate(found.probabilities)]
    assert found.loss.gradient == pytest.approx(slopes, rel=1e-13)
    assert found.loss.value == pytest.approx(-math.log(found.probabilities[0]), rel=1e-13)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["1", "two"], "`x`: 'two' is not a number"),
        ([], "`x` is empty: expected at least one number"),
        (["--"], "`x` is empty"),
        (["1,2"], "'1,2' is not a number; separate the numbers by spaces"),
        ([""], "'' is not a number"),
        (["nan"], "`x` must hold finite numbers only, got nan"),
        (["--", "-inf", "1"], "`x` must hold finite numbers only, got -inf"),
        (["1e999"], "`x` must hold finite numbers only, got 1e999"),
        (["1", "--temperature", "-1"], "`--temperature` must be a number of 0 or more, got -1"),
        (["1", "--temperature", "nan"], "`--temperature` must be a number of 0 or more, got nan"),
        (["1", "--temperature", "hot"], "`--temperature`: 'hot' is not a number"),
        (["1", "--temperature", "1e-320"], "is too small: x / temperature overflows"),
        (["1", "--temperature", "0", "--sink", "1"], "takes no `--sink`"),
        (["1", "--temperature", "0", "--label", "0"], "takes no `--sink` and no `--label`"),
        (["1", "--sink", "inf"], "`--sink` must hold finite numbers only, got inf"),
        (["1", "--sink", "x"], "`--sink`: 'x' is not a number"),
        (["1", "2", "--label", "2"], "`--label` must be a class from 0 to 1"),
        (["1", "2", "--label", "-1"], "`--label` must be a class from 0 to 1"),
        (["1", "2", "--label", "0.5"], "got 0.5"),
        (["1", "2", "--label", "cat"], "got cat"),
        (["1", "--plot", "plot.jpg"], "the name must end in .png, got 'plot.jpg'"),
        (["1", "--plot", "no/such/folder/plot.png"], "there is no folder"),
    ],
)
def test_bad_input_is_refused_in_one_line(capsys, argv, words):
    assert main(["explain", *argv]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert words in captured.err
    assert captured.err.startswith("softaxis explain: error: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["explain", "1", "--nonsense"], ["explain", "1", "--sink"]]
)
def test_wrong_arguments_are_refused(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert "error: " in captured.err


@pytest.mark.parametrize(
    "argv",
    [
        "-1e3 -.5 2 --sink -1e-2",
        "-- -1e3 -.5 2 --sink -1e-2",
        "--sink -1e-2 -- -1e3 -.5 2",
        "-1e3 --sink -1e-2 -.5 2",
        "--sink=-1e-2 -1e3 -.5 2",
    ],
)
def test_numbers_and_options_in_any_order(capsys, argv):
    page = explain(capsys, *argv.split())
    assert page.startswith("softmax(-1000, -0.5, 2), sink -0.01\n")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"softaxis {softaxis.__version__}\n"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "arguments",
    [
        ([-1.0, 1.0, 2.0, 3.0], None, None, 2),
        ([0.25, -0.25], 0.3, -1.5, 1),
        ([k / 7 - 1 for k in range(20)],),
        ([1000.0, -1000.0, 0.0],),
    ],
    ids=["textbook", "everything", "twenty", "large"],
)
def test_the_page_fits_the_terminal(arguments, width):
    page = [*story(walk(*arguments))]
    lines = ["".join(text for text, _ in line) for line in lay_out(page, width)]
    assert max(len(line.rstrip()) for line in lines) <= width


class Terminal:
    """Something to print on that says it is a terminal, or what its encoding is."""

    def __init__(self, encoding, is_terminal):
        self.encoding = encoding
        self.is_terminal = is_terminal
        self.text = ""

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        self.text += text.encode(self.encoding).decode(self.encoding)

    def flush(self):
        """Nothing is held back."""


def printed(monkeypatch, encoding="utf-8", is_terminal=False):
    terminal = Terminal(encoding, is_terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", terminal)
    show(list(story(walk([-1.0, 1.0, 2.0, 3.0], sink=0.0))))
    return terminal.text


def test_colour_changes_no_word(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = printed(monkeypatch), printed(monkeypatch, is_terminal=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_bars_where_only_ascii_can_be_printed(monkeypatch):
    text = printed(monkeypatch, encoding="ascii")
    assert text.isascii()
    assert re.search(r"3 +3 +0\.636 +#{20,} ", text)


def test_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "softaxis", "explain", *TEXTBOOK],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "to two places: 0.01 0.09 0.24 0.66\n" in done.stdout
    assert not done.stderr


def test_refusal_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "softaxis", "explain", "1", "two"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "softaxis explain: error: `x`: 'two' is not a number\n"
    assert not done.stdout


@pytest.mark.parametrize(
    ("missing", "argv"),
    [("numpy", ["explain", "1", "2"]), ("matplotlib", ["explain", "1", "--plot", "plot.png"])],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(missing, argv):
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from softaxis.__main__ import main; sys.exit(main({argv!r}))"
    )
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith("softaxis explain: error: ")
    assert f"needs {missing} " in done.stderr
    assert 'python -m pip install "softaxis[cli]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_rich_and_matplotlib():
    done = python(
        "import sys; sys.modules['rich'] = sys.modules['matplotlib'] = None\n"
        "sys.stdout.isatty = lambda: True\n"
        "from softaxis.__main__ import main; sys.exit(main(['explain', '1', '2']))"
    )
    assert done.returncode == 0, done.stderr
    assert "to two places: 0.27 0.73" in done.stdout


def test_a_reader_who_leaves_is_no_error():
    reader = "import sys; sys.stdin.readline()"
    command = [sys.executable, "-m", "softaxis", "explain", *map(str, range(3000))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        subprocess.run([sys.executable, "-c", reader], stdin=writer.stdout, check=True)
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 0


def test_importing_softaxis_leaves_the_command_line_alone():
    done = python("import softaxis, sys; sys.exit(any('_cli' in name for name in sys.modules))")
    assert done.returncode == 0, done.stderr
