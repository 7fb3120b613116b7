// Package arch holds the structure of the project as a test: which package may import which, and the habits that the
// house style forbids (init functions, blank imports, panics outside Must functions).
//
// Folders are layers. An interface lives with the layer that owns the idea, implementations import it, siblings never
// import each other, and only the root and programs know implementations.
package arch

import "strings"

// Module is the module's path.
const Module = "github.com/ferryrpc/ferry"

// A rule lists what packages may import of the project's own.
type rule struct {
	pattern string   // a package below Module; a trailing /* stands for every package below
	may     []string // allowed packages or patterns
}

// rules are looked through in order; the first that matches a package counts.
func rules() []rule {
	contracts := []string{"url", "extension", "protocol", "registry", "transport", "serialize", "exchange", "cluster", "loadbalance", "monitor", "filter", "proxy"}
	with := func(more ...string) []string { return append(append([]string(nil), contracts...), more...) }
	return []rule{
		{"url", nil},
		{"serialize", nil},
		{"transport", []string{"url"}},
		{"zkembed", nil},
		{"internal/zktest", []string{"zkembed"}},
		{"internal/zk", []string{"url"}},
		{"internal/gen/*", []string{"*"}},       // generated code that the generator's tests compile
		{"internal/gen", []string{"serialize"}}, // the naming rule for Java
		{"internal/*", nil},
		{"extension", []string{"url"}},
		{"protocol", []string{"url"}},
		{"registry", []string{"url"}},
		{"exchange", []string{"url", "transport"}},
		{"proxy", []string{"protocol", "serialize"}}, // the naming rule for Java is serialize's
		{"loadbalance", []string{"url", "extension", "protocol"}},
		{"monitor", []string{"url", "extension", "protocol"}},
		{"filter", []string{"url", "extension", "protocol", "monitor"}},
		{"cluster/rule", []string{"url"}},
		{"cluster", []string{"url", "extension", "protocol", "loadbalance", "registry", "cluster/rule"}},
		{"registry/zookeeper", with("internal/zk")},
		{"transport/transporttest", []string{"url", "transport"}},
		{"registry/registrytest", []string{"url", "registry"}},
		{"serialize/serializetest", []string{"serialize"}},
		{"protocol/*", contracts},
		{"registry/*", contracts},
		{"serialize/*", contracts},
		{"transport/*", contracts},
		{"coordination/lock", []string{"url", "extension", "internal/zk"}},
		{"coordination/leader", []string{"url", "extension", "internal/zk", "coordination/lock"}},
		{"coordination/idempotent", with("internal/zk", "coordination/lock")},
		{"coordination/idempotent/idempotenttest", []string{"coordination/idempotent", "coordination/lock"}},
		{"coordination/*", with("internal/zk", "coordination/lock", "coordination/idempotent")},
		{"cmd/ferry", []string{"*"}},
		{"examples/*", []string{"*"}},
		{"benchmarks/*", []string{"*"}},
		{"benchmarks", []string{"*"}},
		{"", []string{"*"}},
	}
}

func matches(pattern, pkg string) bool {
	if pattern == "*" || pattern == pkg {
		return true
	}
	dir, below := strings.CutSuffix(pattern, "/*")
	return below && strings.HasPrefix(pkg, dir+"/")
}

// allowed says whether the package from may import the package to; both are below Module. known is false when no rule
// speaks of from.
func allowed(from, to string) (ok, known bool) {
	for _, r := range rules() {
		if !matches(r.pattern, from) {
			continue
		}
		for _, m := range r.may {
			if matches(m, to) {
				return true, true
			}
		}
		return false, true
	}
	return false, false
}
