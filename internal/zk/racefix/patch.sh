#!/usr/bin/env bash
# Makes a copy of github.com/go-zookeeper/zk v1.0.4 without two data races of its own, in the folder DIR, and prints the path of
# a go.mod that uses it:
#
#   go test -race -modfile="$(internal/zk/racefix/patch.sh DIR)" ./...
#
# The library's receiving goroutine writes lastZxid while another one reads it to restore watches, on every connection
# that has watches when it begins. Package internal/zk gives the library no watches, so that its own tests need no copy for
# that; tests that use the library itself, with watches, do. And CreateContainer looks at its answer also when the connection
# was closed under it, while the receiving goroutine may still write it; the other calls of ours do not. The go.mod and go.sum
# here are copies of the main module's, and are made anew each time.
set -euo pipefail
dir=${1:?usage: patch.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cd "$(dirname "$0")/../../.."

module=github.com/go-zookeeper/zk
want=v1.0.4
version=$(go list -m -f '{{.Version}}' "$module")
if [ "$version" != "$want" ]; then
	echo "patch.sh: the patch is for $module $want, go.mod has $version" >&2
	exit 1
fi
go mod download "$module"
source=$(go list -m -f '{{.Dir}}' "$module")

rm -rf "$dir/zk"
mkdir -p "$dir/zk"
cp "$source"/*.go "$source"/go.mod "$source"/LICENSE "$dir/zk/"
chmod -R u+w "$dir/zk"
rm -f "$dir"/zk/*_test.go
sed -i.orig \
	-e 's/c\.lastZxid = res\.Zxid$/atomic.StoreInt64(\&c.lastZxid, res.Zxid)/' \
	-e 's/c\.lastZxid = 0$/atomic.StoreInt64(\&c.lastZxid, 0)/' \
	-e 's/\(RelativeZxid: *\)c\.lastZxid,$/\1atomic.LoadInt64(\&c.lastZxid),/' \
	-e 's/\(LastZxidSeen: *\)c\.lastZxid,$/\1atomic.LoadInt64(\&c.lastZxid),/' \
	-e 's/^\treturn res\.Path, err$/\tif err == ErrConnectionClosed {\n\t\treturn "", err\n\t}\n&/' \
	"$dir/zk/conn.go"
rm -f "$dir/zk/conn.go.orig"
if [ "$(grep -c 'atomic\..*&c\.lastZxid' "$dir/zk/conn.go")" != 4 ] || grep -q '[^&]c\.lastZxid' "$dir/zk/conn.go" ||
	[ "$(grep -B3 'return res\.Path, err' "$dir/zk/conn.go" | grep -c 'if err == ErrConnectionClosed')" != 4 ]; then
	echo "patch.sh: conn.go of $module $version is not what the patch was written for" >&2
	exit 1
fi

cp go.mod go.sum "$dir/"
go mod edit -replace "$module=$dir/zk" "$dir/go.mod"
echo "$dir/go.mod"
