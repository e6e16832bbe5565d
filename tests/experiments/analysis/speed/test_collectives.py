"""What devices send each other, counted in a program that is short enough to count by hand."""

from experiments.analysis.speed.collectives import Collective, collectives
from experiments.analysis.speed.memory import per_update

PROGRAM = """HloModule jit_step, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %b)
}

%inner (c: (f32[4])) -> (f32[4]) {
  %grads = (f32[4]{0}, f32[2,3]{1,0}, /*index=2*/pred[]) all-reduce(%x, %y, %z), to_apply=%add
  ROOT %r = (f32[4]{0}) tuple(%grads)
}

%body (c: (f32[4])) -> (f32[4]) {
  %loop = (f32[4]{0}) while(%c), condition=%few, body=%inner, TURNS
  %rows = f32[10]{0} all-gather(%v), dimensions={0}
  ROOT %both = (f32[4]{0}) conditional(%p, %c, %c), branch_computations={%left, %right}
}

%few (c: (f32[4])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

%agree (c: (f32[4])) -> pred[] {
  ROOT %any = pred[] all-reduce(%less), to_apply=%add
}

%left (c: (f32[4])) -> (f32[4]) {
  ROOT %same = (f32[4]{0}) tuple(%c)
}

%right (c: (f32[4])) -> (f32[4]) {
  %moved = s8[3]{0} collective-permute(%w), source_target_pairs={{0,1}}
  ROOT %t = (f32[4]{0}) tuple(%moved)
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %updates = (f32[4]{0}) while(%p), condition=%agree, body=%body
  ROOT %whole = f32[8]{0} all-gather(%half), dimensions={0}
}
"""


PROGRAM = PROGRAM.replace("TURNS", 'backend_config={"known_trip_count":{"n":"5"}}')


def test_loops_conditions_and_branches_are_looked_into():
    found = sorted(collectives(PROGRAM))
    assert found == [
        Collective("all-gather", 32, turns=1, depth=0),  # 8 x 4 bytes, once.
        Collective("all-gather", 40, turns=1, depth=1),
        Collective("all-reduce", 1, turns=1, depth=1),  # In the condition of a loop.
        Collective("all-reduce", 41, turns=5, depth=2),  # (4 + 6) x 4 + 1 bytes.
        Collective("collective-permute", 3, turns=1, depth=1),
    ]
    # Inside of loops: 1 + 1 + 5 + 1, and 40 + 1 + 5 x 41 + 3 bytes.
    assert per_update(found) == (8, 249)
