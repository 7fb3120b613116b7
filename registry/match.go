package registry

import (
	"slices"

	"github.com/ferryrpc/ferry/url"
)

// Match says whether a provider's entry serves a consumer (Apache Dubbo, UrlUtils.isMatch): the same interface, enabled,
// the consumer's group or one of its comma list, and its version. The consumer's * stands for any; an absent group or
// version matches only an absent one, and version 0.0.0 counts as absent. Rules (configurators, routers) match in the
// same way, but that disabled=true in a rule is what it does to providers, not that the rule is off.
func Match(consumer, provider *url.URL) bool {
	if i := consumer.Interface(); i != "*" && i != provider.Interface() {
		return false
	}
	if provider.Param("enabled") == "false" || provider.Param("disabled") == "true" && Category(provider) == Providers {
		return false
	}
	group, offered := consumer.Param("group"), provider.Param("group")
	if group != "*" && group != offered && (offered == "" || !slices.Contains(url.SplitList(group), offered)) {
		return false
	}
	version := consumer.Param("version")
	return version == "*" || normal(version) == normal(provider.Param("version"))
}

func normal(version string) string {
	if version == "0.0.0" {
		return ""
	}
	return version
}

// Categories returns the categories that a subscription asks for: the comma list in its parameter category, where *
// stands for all four, or else providers, configurators and routers.
func Categories(service *url.URL) []string {
	list := url.SplitList(service.Param("category"))
	switch {
	case slices.Contains(list, "*"):
		return []string{Providers, Consumers, Configurators, Routers}
	case len(list) == 0:
		return []string{Providers, Configurators, Routers}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Wants says whether an entry belongs into the lists of a subscription: it matches and is of one of the categories.
func Wants(service, entry *url.URL) bool {
	return slices.Contains(Categories(service), Category(entry)) && Match(service, entry)
}
