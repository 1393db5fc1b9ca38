#!/usr/bin/env bash
# What must hold on any clip, checked with the real binary: killed and resumed, same seed, disk full, bad inputs,
# unusual names, memory over length.
#
#   tools/must_hold.sh CLIP [CHECK...]        checks: resume seed full disk bad names memory; all of them by default
#   tools/must_hold.sh FOLDER                 every clip of it is edited and judged by tools/must_hold.py
#
# CLIP shows a face and has sound. REWORD names another binary than target/release/reword; MINUTES the length for
# `memory` (20); SYNC=1 makes every mouth of it too; STEPS takes other denoising steps than the model's own, for a quick
# look. Needs ffmpeg, and for folders Python with numpy. Says what fails and ends with 1 if anything did.
set -uo pipefail
if [ -d "${1:-}" ]; then
    exec python3 "$(dirname "$0")/must_hold.py" "$1" --jobs remove,words,sync,dub ${STEPS:+--steps "$STEPS"}
fi
clip=$(realpath "${1:?the clip to check with, or a folder of clips}")
shift
checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(resume seed full disk bad names memory)
reword=$(realpath "${REWORD:-$(dirname "$0")/../target/release/reword}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
quick=(${STEPS:+--steps "$STEPS"})

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# Runs the binary; its exit code, its sentence and that nothing is left behind must be as expected.
expect() { # CODE TEXT NAME... -- ARGUMENTS
    local code=$1 text=$2
    shift 2
    mkdir -p box
    local said got
    said=$("$reword" "$@" 2>&1 >/dev/null)
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: reword $*: $said"
    [[ $said == *"$text"* ]] || fail "'$text' is not in: $said"
    [[ $said != *panicked* ]] || fail "a panic: $said"
    [ -z "$(ls -A box)" ] || fail "left behind: $(ls -A box)"
    rm -rf box
}

length() { ffprobe -v error -show_entries format=duration -of csv=p=0 "$1"; }

resume() {
    local arguments=(sync "$clip" --speech "$clip" --quiet "${quick[@]}")
    local begin end
    begin=$(date +%s%N)
    "$reword" "${arguments[@]}" -o whole.mp4 >/dev/null || {
        fail "sync"
        return
    }
    end=$(date +%s%N)
    local lasts=$(((end - begin) / 1000000))
    for share in 5 20 35 50 60 70 80 90 97; do
        rm -rf out.mp4 .out.mp4.reword
        "$reword" "${arguments[@]}" -o out.mp4 >/dev/null 2>&1 &
        local id=$!
        sleep "$(awk "BEGIN {print $lasts * $share / 100000}")"
        kill -9 $id 2>/dev/null
        wait $id 2>/dev/null
        # On a busy machine a run may be through before it is killed: then its output is whole.
        [ ! -e out.mp4 ] || cmp -s whole.mp4 out.mp4 || fail "killed at $share %: half an output is there"
        "$reword" "${arguments[@]}" --resume -o out.mp4 >/dev/null || fail "resuming at $share %"
        cmp -s whole.mp4 out.mp4 || fail "killed at $share %: other bytes"
        [ ! -e .out.mp4.reword ] || fail "killed at $share %: the job folder stays"
    done
    echo "resume: nine moments of $lasts ms"
}

seed() {
    for name in one two; do
        "$reword" sync "$clip" --speech "$clip" --seed 7 --quiet "${quick[@]}" -o $name.mp4 >/dev/null
    done
    cmp -s one.mp4 two.mp4 || fail "one seed gives two files"
    echo "seed: equal"
}

# A limit on the size of files is a disk that fills up, without needing one.
full() {
    for kilobytes in 1 40 200 800; do
        local said code
        mkdir -p box
        said=$( (
            ulimit -f $kilobytes
            trap '' XFSZ
            exec "$reword" sync "$clip" --speech "$clip" --quiet "${quick[@]}" -o box/out.mp4
        ) 2>&1)
        code=$?
        if [ $code -ne 0 ]; then
            [ $code -eq 1 ] || fail "full after $kilobytes KiB: exit code $code: $said"
            [[ $said != *panicked* ]] || fail "full after $kilobytes KiB: $said"
        fi
        [ ! -e box/out.mp4 ] || [ $code -eq 0 ] || fail "full after $kilobytes KiB: half a file"
        echo "full after $kilobytes KiB: $code ${said%%$'\n'*}"
        # With room again it goes on.
        "$reword" sync "$clip" --speech "$clip" --quiet "${quick[@]}" --resume -o box/out.mp4 >/dev/null || fail "going on after $kilobytes KiB"
        rm -rf box
    done
}

# A disk that is really full: needs root, for a small file system in memory.
disk() {
    local size said code
    mkdir -p tiny
    for size in 64 300 900 2000; do
        if ! mount -t tmpfs -o size=${size}k tmpfs tiny 2>/dev/null; then
            echo "disk: left out, no file system can be mounted here"
            return
        fi
        said=$("$reword" sync "$clip" --speech "$clip" --quiet "${quick[@]}" -o tiny/out.mp4 2>&1 >/dev/null)
        code=$?
        if [ $code -ne 0 ]; then
            [ $code -eq 1 ] || fail "a disk of $size KiB: exit code $code: $said"
            [[ $said == *"disk is full"* ]] || fail "a disk of $size KiB: no word of it: $said"
            [ ! -e tiny/out.mp4 ] || fail "a disk of $size KiB: half a file"
        fi
        echo "a disk of $size KiB: $code ${said%%$'\n'*}"
        umount tiny
    done
}

bad() {
    : >empty.mp4
    echo "this is text" >text.mp4
    head -c 100000 /dev/urandom >noise.mp4
    ffmpeg -v error -y -i "$clip" -vn -c:a pcm_s16le sound.wav
    ffmpeg -v error -y -i "$clip" -an -c:v copy silent.mp4
    ffmpeg -v error -y -i "$clip" -c:v libx264 -c:a aac whole0.mp4
    head -c $(($(stat -c %s whole0.mp4) / 2)) whole0.mp4 >half.mp4
    ffmpeg -v error -y -i whole0.mp4 -c copy -movflags faststart front.mp4
    head -c $(($(stat -c %s front.mp4) * 2 / 3)) front.mp4 >cut.mp4
    ffmpeg -v error -y -i "$clip" -frames:v 1 -an -c:v libx264 one.mp4
    ffmpeg -v error -y -f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -f lavfi -i sine=300:duration=2 -c:v libx264 -c:a aac faceless.mp4
    echo '{"version":1,"language":"en","words":[{"text":"hello","start":0.1,"end":0.4},{"text":"world","start":0.5,"end":0.9}]}' >words.json
    echo "hello world" >same.txt
    echo "completely other things are written in this text, of which no word was ever said by anybody" >other.txt
    : >empty.txt
    local edit=(edit "$clip" --transcript words.json -o box/out.mp4)
    expect 3 "missing.mp4 does not exist" edit missing.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "empty" edit empty.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "text" edit text.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "noise.mp4" edit noise.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "no video" edit sound.wav --remove 0-1 -o box/out.mp4
    expect 3 "no sound" edit silent.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "half.mp4" edit half.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "cut.mp4" edit cut.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "one.mp4" edit one.mp4 --remove 0-1 -o box/out.mp4
    expect 3 "no face" sync faceless.mp4 --speech sound.wav -o box/out.mp4
    expect 2 "nothing to change" "${edit[@]}" --script same.txt
    expect 3 "no words" "${edit[@]}" --script empty.txt
    expect 3 "does not match" "${edit[@]}" --script other.txt
    expect 2 "1.00-1.00" "${edit[@]}" --remove 1.00-1.00
    expect 2 "hello" "${edit[@]}" --remove hello --replace "hello=goodbye"
    expect 2 "nowhere" edit "$clip" --remove 0-1 -o nowhere/out.mp4
    expect 2 "overwrite" edit "$clip" --remove 0-1 -o "$clip"
    expect 4 "device cuda" sync "$clip" --speech sound.wav --device cuda -o box/out.mp4
    expect 2 "of memory" sync "$clip" --speech sound.wav --memory 10MB -o box/out.mp4
    expect 4 "whisper" transcribe "$clip"
    if [ "$(id -u)" -ne 0 ]; then
        mkdir -p locked && chmod 500 locked
        expect 2 "permission denied" edit "$clip" --remove 0-1 -o locked/out.mp4
        chmod 700 locked
    fi
    echo "bad: done"
}

names() {
    local name
    for name in "with a space" "it's quoted \"twice\"" "ünï – 中文 😀" "-dash" '$(touch pwned);x' "semi;colon&and|pipe" "perc%20ent%s" $'new\nline'; do
        cp "$clip" "./$name.mp4"
        "$reword" edit --remove 0.3-0.6 --exact --quiet -o "./$name.out.mp4" -- "./$name.mp4" >/dev/null || fail "name: $name"
        [ -s "./$name.out.mp4" ] || fail "no output for the name: $name"
        rm -f "./$name.mp4" "./$name.out.mp4"
    done
    [ ! -e pwned ] || fail "a name was run"
    echo "names: done"
}

# The largest resident sets of the binary and its decoding children together, in MiB, as `most`.
peak() {
    "$@" >/dev/null &
    local id=$! now
    most=0
    while kill -0 $id 2>/dev/null; do
        now=$(ps -o rss= --pid $id --ppid $id | awk '{sum += $1} END {print int(sum / 1024)}')
        [ "${now:-0}" -gt $most ] && most=$now
        sleep 0.2
    done
    wait $id || fail "$*"
}

memory() {
    local minutes=${MINUTES:-20} most short long
    for seconds in 60 $((minutes * 60)); do
        ffmpeg -v error -y -stream_loop -1 -i "$clip" -t $seconds -c:v libx264 -preset ultrafast -c:a aac long$seconds.mp4
    done
    for job in "edit --remove 30-31" "edit --remove 5-6 --remove 50-51"; do
        # shellcheck disable=SC2086
        peak "$reword" ${job%% *} long60.mp4 ${job#* } --quiet -o short.mp4
        short=$most
        # shellcheck disable=SC2086
        peak "$reword" ${job%% *} long$((minutes * 60)).mp4 ${job#* } --quiet -o long.mp4
        long=$most
        echo "memory, $job: $short MiB for 1 min, $long MiB for $minutes min"
        [ "$long" -le 2500 ] || fail "$long MiB for $minutes min"
    done
    if [ -n "${SYNC:-}" ]; then
        peak "$reword" sync long60.mp4 --speech long60.mp4 --quiet "${quick[@]}" -o short.mp4
        short=$most
        peak "$reword" sync long$((minutes * 60)).mp4 --speech long$((minutes * 60)).mp4 --quiet "${quick[@]}" -o long.mp4
        long=$most
        echo "memory, sync: $short MiB for 1 min, $long MiB for $minutes min"
        [ "$long" -le 2500 ] || fail "$long MiB for $minutes min"
    fi
}

for check in "${checks[@]}"; do
    "$check"
done
[ $failures -eq 0 ] || exit 1
echo "all of it holds"
