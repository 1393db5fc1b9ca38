#!/usr/bin/env bash
# The demo: edits the sample clip, or the user's own.
#   tools/demo.sh OUT [CLIP SCRIPT [TRANSCRIPT]]
set -euo pipefail
cd "$(dirname "$0")/.."

out=$1 clip=${2:-} script=${3:-} transcript=${4:-}
reword=target/release/reword
mkdir -p "$out"

if [ -z "$clip" ]; then
  clip=assets/sample/sample.mp4
  script=assets/sample/script.txt
  transcript=assets/sample/sample.words.json
  echo "The sample says:  $(cat assets/sample/spoken.txt)"
  echo "It shall say:     $(cat "$script")"
elif [ -z "$script" ]; then
  echo "error: CLIP needs SCRIPT, a text file with the words as they should be spoken" >&2
  echo >&2
  echo "hint: make demo CLIP=my.mp4 SCRIPT=new.txt TRANSCRIPT=spoken.txt" >&2
  exit 2
fi

result="$out/$(basename "${clip%.*}").edited.mp4"
arguments=(edit "$clip" --script "$script" --output "$result" --report "$out/report.json")
if [ -n "$transcript" ]; then
  arguments+=(--transcript "$transcript")
fi
"$reword" "${arguments[@]}"
echo "The report:       $out/report.json"
