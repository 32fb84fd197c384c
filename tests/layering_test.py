#!/usr/bin/env python3
"""Holds the tree to its layers: kernels < db < proto < runtime < tuner < cli.

Checks that a file includes only its own folder and folders to the left, that each outside library
is included through its one door, that files stay short, and that the link lines say the same.
Tests may include everything.

  layering_test.py --source DIR [--links FILE] [--no-grpc PROGRAM]
  layering_test.py --self-test

FILE has one line per library, "name=dependency;dependency". PROGRAM must load neither gRPC nor any
library that needs it by itself.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

LAYERS = ["kernels", "db", "proto", "runtime", "tuner", "cli", "tests"]
LINE_LIMITS = {".h": 150, ".cc": 400, ".cuh": 400}

# Outside header -> the files that may include it, as path prefixes. The first match counts.
DOORS = [
    (r"sqlite3\.h", ["db/sqlite."]),
    (r"openssl/.*", ["kernels/sha256.cc"]),
    (r"(cuda|nvrtc)\.h", ["runtime/driver.cc", "runtime/nvrtc.cc"]),
    (r"(grpc|grpcpp)/.*|.*\.grpc\.pb\.h",
     ["proto/client.", "proto/grpc_status.", "tuner/service/"]),
    (r"google/.*|.*\.pb\.h", ["proto/", "tuner/service/", "tuner/worker", "tuner/sweep_spec."]),
    (r"nlohmann/.*", ["cli/", "tuner/trace.", "tuner/sweep_spec."]),
    (r"zlib\.h", ["tuner/trace."]),
    (r"boost/.*", ["cli/"]),
    (r"absl/.*", [""]),
    # The language and the operating system.
    (r"[a-z0-9_]+", [""]),
    (r"(sys|linux|netinet|arpa)/.*", [""]),
    (r"(dirent|dlfcn|errno|fcntl|netdb|poll|pthread|pwd|sched|signal|spawn|stdint|stdlib|termios"
     r"|time|unistd)\.h", [""]),
]

LIBRARY_LAYERS = {"messages": "proto", "runtime_remote": "runtime", "service": "tuner"}
# Outside library -> the libraries of ours that may link it.
LINK_DOORS = [
    (r"absl::.*|Threads::Threads|dl", None),
    (r"OpenSSL::Crypto", ["kernels"]),
    (r"SQLite::.*", ["db"]),
    (r"protobuf::.*", ["messages", "proto"]),
    (r"gRPC::.*", ["messages", "proto", "service"]),
    (r"nlohmann_json::.*", ["cli", "tuner"]),
    (r"ZLIB::.*", ["tuner"]),
    (r"Boost::.*", ["cli"]),
]


def check_include(path, header, quoted):
    """The complaint about one include of a file that is no test, or None."""
    folder = path.split("/")[0]
    target = header.split("/")[0]
    if target in LAYERS:
        if LAYERS.index(target) > LAYERS.index(folder):
            return f"includes {header}: {folder} lies below {target}"
        if folder == "runtime" and target == "proto" and "/remote_source." not in path:
            return f"includes {header}: the core of the runtime does not know proto"
        return None
    for pattern, allowed in DOORS:
        if re.fullmatch(pattern, header):
            if any(path.startswith(door) for door in allowed):
                return None
            return f"includes {header}: its door is {', '.join(allowed)}"
    if quoted:
        return f"includes {header}: paths start at the root of the repository"
    return f"includes {header}: an outside header without a door"


def check_sources(root):
    complaints = []
    for folder in LAYERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in LINE_LIMITS:
                continue
            path = file.relative_to(root).as_posix()
            lines = file.read_text(encoding="utf-8").splitlines()
            if len(lines) > LINE_LIMITS[file.suffix]:
                complaints.append(f"{path}: {len(lines)} lines, allowed are "
                                  f"{LINE_LIMITS[file.suffix]}")
            if folder == "tests":
                continue
            for number, line in enumerate(lines, 1):
                match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                if match:
                    complaint = check_include(path, match[2], match[1] == '"')
                    if complaint:
                        complaints.append(f"{path}:{number}: {complaint}")
    return complaints


def check_links(text):
    links = {}
    for line in text.splitlines():
        name, dependencies = line.split("=", 1)
        links[name.removeprefix("moetune_")] = [
            d.removeprefix("moetune_") for d in dependencies.split(";") if d]

    complaints = []
    for library, dependencies in links.items():
        layer = LIBRARY_LAYERS.get(library, library)
        for dependency in dependencies:
            if dependency in links:
                below = LIBRARY_LAYERS.get(dependency, dependency)
                if LAYERS.index(below) > LAYERS.index(layer):
                    complaints.append(f"{library} links {dependency}: {layer} lies below {below}")
                continue
            doors = [door for pattern, door in LINK_DOORS if re.fullmatch(pattern, dependency)]
            if not doors:
                complaints.append(f"{library} links {dependency}: an outside library without a door")
            elif doors[0] is not None and library not in doors[0]:
                complaints.append(f"{library} links {dependency}: its door is "
                                  f"{', '.join(doors[0])}")

    reached, waiting = set(), ["runtime"]
    while waiting:
        library = waiting.pop()
        if library not in reached:
            reached.add(library)
            waiting += links.get(library, [])
    for library in sorted(reached):
        if library in ("proto", "messages") or library.startswith(("gRPC::", "protobuf::")):
            complaints.append(f"the core of the runtime reaches {library}")
    return complaints


def check_loads_no_grpc(program):
    table = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True)
    return [f"{program} loads {name}"
            for name in re.findall(r"NEEDED.*\[(.*)\]", table.stdout) if "grpc" in name]


def self_test():
    """A made-up tree with one violation of each kind, and the complaint that each must raise."""
    sources = {
        "kernels/space.h": '#include "db/store.h"\n',
        "db/store.h": '#include "kernels/space.h"\n#include <vector>\n#include "absl/status/status.h"\n',
        "db/store.cc": '#include <sqlite3.h>\n',
        "db/sqlite.cc": '#include <sqlite3.h>\n#include <unistd.h>\n',
        "db/nearest.h": '#include "nearest_shape.h"\n',
        "runtime/dispatcher.cc": '#include "proto/client.h"\n',
        "runtime/remote_source.cc": '#include "proto/client.h"\n',
        "runtime/device.cc": "#include <cuda.h>\n",
        "tuner/timer.cc": '#include "moetune/v1/config.pb.h"\n',
        "tuner/worker.cc": '#include "moetune/internal/worker.pb.h"\n',
        "tuner/sweep.h": "\n" * 151,
        "cli/main.cc": "#include <fmt/format.h>\n#include <boost/program_options.hpp>\n",
        "tests/db/store_test.cc": '#include <sqlite3.h>\n#include "cli/command.h"\n',
        "tests/db/long_test.cc": "\n" * 401,
    }
    links = ("moetune_kernels=OpenSSL::Crypto;moetune_db\nmoetune_db=SQLite::SQLite3\n"
             "moetune_messages=protobuf::libprotobuf;gRPC::grpc++\nmoetune_proto=moetune_messages\n"
             "moetune_runtime=moetune_db;moetune_proto\nmoetune_tuner=Boost::program_options;fmt")
    expected = [
        "kernels/space.h:1: includes db/store.h: kernels lies below db",
        "db/store.cc:1: includes sqlite3.h: its door is",
        "db/nearest.h:1: includes nearest_shape.h: paths start at the root",
        "runtime/dispatcher.cc:1: includes proto/client.h: the core of the runtime",
        "runtime/device.cc:1: includes cuda.h: its door is",
        "tuner/timer.cc:1: includes moetune/v1/config.pb.h: its door is",
        "tuner/sweep.h: 151 lines",
        "cli/main.cc:1: includes fmt/format.h: an outside header without a door",
        "tests/db/long_test.cc: 401 lines",
        "kernels links db: kernels lies below db",
        "tuner links Boost::program_options: its door is cli",
        "tuner links fmt: an outside library without a door",
        "the core of the runtime reaches gRPC::grpc++",
        "the core of the runtime reaches messages",
        "the core of the runtime reaches proto",
        "the core of the runtime reaches protobuf::libprotobuf",
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in sources.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        found = check_sources(root) + check_links(links)
    missed = [e for e in expected if not any(f.startswith(e) for f in found)]
    invented = [f for f in found if not any(f.startswith(e) for e in expected)]
    return [f"not reported: {e}" for e in missed] + [f"reported wrongly: {f}" for f in invented]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path)
    parser.add_argument("--links", type=pathlib.Path)
    parser.add_argument("--no-grpc")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    complaints = []
    if options.self_test:
        complaints += self_test()
    if options.source:
        complaints += check_sources(options.source)
    if options.links:
        complaints += check_links(options.links.read_text())
    if options.no_grpc:
        complaints += check_loads_no_grpc(options.no_grpc)
    print("\n".join(complaints) or "nothing to complain about")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
