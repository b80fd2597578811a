"""Writes the replica's `nvidia-smi`: a plainly labelled simulation in POSIX sh, or one that fails as without a GPU.

Tests and people may make the simulated GPU look busy by writing numbers into the replica's `gpu/utilization` (percent)
and `gpu/memory_used` (MiB).
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from localcloud.container_apps.ports import Gpu

_MODELS = {"T4": ("Tesla T4", 15360, 70), "A100": ("NVIDIA A100 80GB PCIe", 81920, 300)}
_DRIVER = "550.54.15"

_FAILING = """#!/bin/sh
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver." >&2
echo "SIMULATED by the DevBoxGPU local cloud: a container without its GPU" >&2
exit 9
"""

_SIMULATION = r"""#!/bin/sh
# SIMULATED by the DevBoxGPU local cloud: no GPU is behind this.
label="SIMULATED by the DevBoxGPU local cloud: not a real GPU"
name=@NAME@; uuid=@UUID@; total=@TOTAL@; watts=@WATTS@; driver=@DRIVER@; state=@STATE@
busy=0; used=0
[ -r "$state/utilization" ] && read -r busy < "$state/utilization"
[ -r "$state/memory_used" ] && read -r used < "$state/memory_used"

fields=; format=; list=; processes=
while [ $# -gt 0 ]; do
  case $1 in
    --query-gpu=*) fields=${1#*=} ;;
    --query-gpu) shift; fields=$1 ;;
    --query-compute-apps=*) processes=${1#*=} ;;
    --format=*) format=${1#*=} ;;
    --format) shift; format=$1 ;;
    -i|--id) shift ;;
    -i=*|--id=*) ;;
    -L|--list-gpus) list=1 ;;
    *) echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help." >&2; exit 1 ;;
  esac
  shift
done

if [ -n "$fields$processes" ]; then
  case ",$format," in
    *,csv,*) ;;
    *) echo '"--format=" switch is missing. It must be csv, with noheader and nounits if wished.'; exit 2 ;;
  esac
  echo "$label" >&2
fi
header=1; units=1
case ",$format," in *,noheader,*) header= ;; esac
case ",$format," in *,nounits,*) units= ;; esac

if [ -n "$processes" ]; then
  [ -n "$header" ] && echo "$processes" | sed 's/ *, */, /g'
  exit 0
fi

if [ -n "$fields" ]; then
  heads=; values=
  for field in $(echo "$fields" | tr ',' ' '); do
    unit=
    case $field in
      name|gpu_name) value=$name ;;
      uuid|gpu_uuid) value=$uuid ;;
      index) value=0 ;;
      count) value=1 ;;
      driver_version) value=$driver ;;
      memory.total) value=$total; unit=MiB ;;
      memory.used) value=$used; unit=MiB ;;
      memory.free) value=$((total - used)); unit=MiB ;;
      utilization.gpu) value=$busy; unit=% ;;
      *) echo "Field \"$field\" is not a valid field to query."; exit 2 ;;
    esac
    head=$field
    [ -n "$unit" ] && head="$field [$unit]"
    [ -n "$unit" ] && [ -n "$units" ] && value="$value $unit"
    heads="${heads:+$heads, }$head"; values="${values:+$values, }$value"
  done
  [ -n "$header" ] && echo "$heads"
  echo "$values"
  exit 0
fi

echo "$label"
if [ -n "$list" ]; then
  echo "GPU 0: $name (UUID: $uuid)"
  exit 0
fi
date
rule="+-----------------------------------------------------------------------------------------+"
echo "$rule"
printf '| %-87s |\n' "NVIDIA-SMI $driver    Driver Version: $driver    CUDA Version: 12.4    (simulated)"
echo "$rule"
printf '| %-40s | %-20s | %-21s |\n' "GPU  Name" "Bus-Id" "GPU-Util  Compute M."
printf '| %-40s | %-20s | %-21s |\n' "Fan  Temp  Pwr:Usage/Cap" "Memory-Usage" ""
echo "$rule"
printf '| %-40s | %-20s | %-21s |\n' "  0  $name" "00000001:00:00.0" "$busy%      Default"
printf '| %-40s | %-20s | %-21s |\n' "N/A   30C    9W / ${watts}W" "${used}MiB / ${total}MiB" ""
echo "$rule"
printf '| %-87s |\n' "Processes: none known to the simulation"
echo "$rule"
"""


def install_nvidia_smi(gpu: Gpu, replica_directory: Path) -> None:
    """Put an `nvidia-smi` into the replica's `bin`: the machine's own where it has one, otherwise the simulation."""
    target = replica_directory / "bin" / "nvidia-smi"
    real = shutil.which("nvidia-smi")
    target.unlink(missing_ok=True)
    if real is not None and not gpu.broken:
        target.symlink_to(real)
        return
    target.write_text(_FAILING if gpu.broken else _simulation(gpu, replica_directory / "gpu"), encoding="utf-8")
    target.chmod(0o755)


def _simulation(gpu: Gpu, state: Path) -> str:
    state.mkdir(exist_ok=True)
    name, total_mib, watts = _MODELS[gpu.type]
    script = _SIMULATION
    for mark, value in {
        "@NAME@": name,
        "@UUID@": gpu.uuid,
        "@TOTAL@": str(total_mib),
        "@WATTS@": str(watts),
        "@DRIVER@": _DRIVER,
        "@STATE@": str(state),
    }.items():
        script = script.replace(mark, shlex.quote(value))
    return script
