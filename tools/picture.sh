#!/usr/bin/env bash
# Makes docs/before-after.png: frames of the sample around "Tuesday, um," as recorded, and of the edited clip around
# "Wednesday". Run `make demo` first.
set -euo pipefail
cd "$(dirname "$0")/.."

edited=${1:-demo/sample.edited.mp4}
row() { # clip, seconds of five frames, picture
  local inputs=() chain="" index=0
  for second in $2; do
    inputs+=(-ss "$second" -i "$1")
    chain+="[$index:v]crop=420:420:110:60,scale=240:240,trim=end_frame=1[f$index];"
    index=$((index + 1))
  done
  for ((i = 0; i < index; i++)); do chain+="[f$i]"; done
  ffmpeg -v error -y "${inputs[@]}" -filter_complex "${chain}hstack=inputs=$index[out]" -map '[out]' -frames:v 1 "$3"
}

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
row assets/sample/sample.mp4 "2.60 2.84 3.00 3.16 3.60" "$folder/before.png"
row "$edited" "2.60 2.84 3.00 3.16 3.32" "$folder/after.png"
ffmpeg -v error -y -i "$folder/before.png" -i "$folder/after.png" -filter_complex vstack -frames:v 1 docs/before-after.png
echo docs/before-after.png
