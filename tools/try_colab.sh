#!/usr/bin/env bash
# try_colab.sh PYTHON [LIST] runs the lesson as Colab does: with its packages, and the
# notebook alone in a folder.
#
# Google publishes what a runtime holds, as a list of NAME==VERSION (the repository
# googlecolab/backend-info, pip-freeze.txt). Of it an environment is made in build/colab/,
# for the Python given, of 12 GB; what has no wheel is left out, by name. Then the
# lesson's requirements go in by pip, which may replace nothing and print no error. The
# notebook fetches the course as git has it.
set -euo pipefail
cd "$(dirname "$0")/.."
course=$PWD list=$(realpath "${2:-../shared/colab_packages.txt}")
lesson=09_pytorch_model_deployment.ipynb
rm -rf build/colab
"$1" -m venv build/colab/env
"$1" -m venv build/colab/uv # uv tells what cannot be had
cd build/colab
uv/bin/pip install -q uv
wheels=(uv/bin/uv pip install -q --python env/bin/python --no-build)

# The packages of CUDA belong to the build of PyTorch, and come with it.
grep == "$list" | grep -v nvidia >list.txt
until said=$("${wheels[@]}" --no-deps -r list.txt 2>&1); do
  name=$(grep -m1 -oP 'Because \K[^=\s]+(?===\S+ has no )' <<<"$said") || { echo "$said" && exit 1; }
  echo "no wheel: $name"
  sed -Ei "/^${name//[-_.]/[-_.]+}==/Id" list.txt
done
"${wheels[@]}" "$(grep ^torch== list.txt)" -c list.txt

env/bin/pip freeze >before.txt
env/bin/pip install -r "$course/requirements.txt" 2>&1 | tee said.txt
env/bin/pip freeze >after.txt
echo "added: $(grep -vxFf before.txt after.txt | xargs)"
if grep -E '^ERROR|incompatible' said.txt || grep -vxFf after.txt before.txt; then
  echo "pip complained of that, or replaced it." && exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git -C "$course" show "HEAD:$lesson" |
  sed "s#COURSE_REPO = ..#&file://$course#" >"$scratch/$lesson"
python=$PWD/env/bin/python
cd "$scratch"
export FOODVISION_DATA='' FOODVISION_BIG='' FOODVISION_OFFLINE=1
unset PYTHONPATH HF_TOKEN FOODVISION_SPACE MPLBACKEND
"$python" -m nbconvert --to notebook --execute --inplace \
  --ExecutePreprocessor.timeout=1800 "$lesson" || failed=1
cp "$lesson" "$course/build/colab"
exit "${failed:-0}"
