#!/bin/sh
# Runs every study that judges a statement of the papers, and writes docs/verdicts.md from what they found.
#
#     ./run sh bench/verdicts.sh        # some minutes; runs that are there already are kept
set -eu
cd "$(dirname "$0")/.."

judged() { # judged FOLDER COMMAND STUDY ...: run it unless it was
    folder=$1 && shift
    [ -e "results/verdicts/$folder" ] || kinlim "$@" -o "results/verdicts/$folder"
}
judged drift drift examples/pinned-drift.toml
judged drift-vanishing drift examples/pinned-drift.toml --set 'model.sigma0="sin(pi*x)/5"' --set 'model.mu0="cos(pi*x)"'
judged noise noise examples/pinned-noise.toml
judged noise-waves noise examples/pinned-ends.toml
judged rest rest examples/pinned-rest.toml
judged dynamics dynamics examples/pinned-orders.toml
judged dynamics-waves dynamics examples/pinned-ends.toml
judged dynamics-paper dynamics examples/pinned-ends.toml --set 'pde.boundary="paper"'
judged dynamics-bump dynamics examples/pinned-ends.toml --set 'pde.boundary="paper"' \
    --set 'model.mu0="(1-cos(pi*x))/20"' --set 'model.sigma0="sin(pi*x)"'
judged ends run examples/pinned-ends.toml
judged paper run examples/pinned-closure.toml --set rival.boundary='"paper"' --set "rival.system=\"B'\""
judged iteration iterate examples/pinned-iteration.toml
judged iterates iterate examples/pinned-iterates.toml
judged kac run examples/kac-reservoir.toml
judged kac-pairs run examples/kac-reservoir.toml --set model.system=2 --set model.reservoir=200
judged reaction run examples/reaction-torus.toml

{
    echo '# What became of the statements of the papers'
    echo
    echo 'Every line was judged by a run, with the command in its last column; `./run sh bench/verdicts.sh` makes this page'
    echo 'anew. A verdict is about the data of that run. Text that says "at rest" is ours.'
    echo
    kinlim verdicts results/verdicts
} >docs/verdicts.md
