#!/bin/sh
# From a float model to its accuracy on an emulated board: sh examples/run.sh gestures
# Trains first where there is no float model yet, or with --train as the second word.
set -eu
name=${1:?"usage: sh examples/run.sh digits | faces | gestures | speakers | vibration [--train]"}
cd "$(dirname "$0")/$name"
if [ "${2:-}" = --train ] || [ ! -f "${name}_float.tflite" ]; then
  python train.py
fi
out=build/${name}_int8.tflite
mkdir -p build
tinydeploy quantize "${name}_float.tflite" --data "${name}_calibration.npz" \
  --eval "${name}_eval.npz" -o "$out"
tinydeploy evaluate "${name}_float.tflite" "$out" --eval "${name}_eval.npz" \
  --on unicorn --board nucleo_l4r5zi --html build/report.html
