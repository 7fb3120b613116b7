package zk

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

func TestFromURL(t *testing.T) {
	cfg, err := FromURL(url.MustParse("zookeeper://me:pw@a:2181,b?backup=c:2182&session=3s&timeout=500&ssl=true"), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a:2181", "b", "c:2182"}, cfg.Addresses)
	require.Equal(t, 3*time.Second, cfg.SessionTimeout)
	require.Equal(t, 500*time.Millisecond, cfg.ConnectTimeout)
	require.Equal(t, "me", cfg.User)
	require.NotNil(t, cfg.TLS)
	own := &tls.Config{}
	cfg, err = FromURL(url.MustParse("zookeeper://a:2181?ssl=true"), own)
	require.NoError(t, err)
	require.Same(t, own, cfg.TLS)
	require.Equal(t, 60*time.Second, cfg.SessionTimeout)
	for _, bad := range []string{"session=soon", "session=-1", "timeout=-5"} {
		_, err = FromURL(url.MustParse("zookeeper://a:2181?"+bad), nil)
		require.Error(t, err, bad)
	}
}

func TestKey(t *testing.T) {
	key := func(text string) string {
		cfg, err := FromURL(url.MustParse(text), nil)
		require.NoError(t, err)
		return cfg.Key()
	}
	require.Equal(t, key("zookeeper://a:2181,b:2181"), key("zookeeper://b:2181?backup=a"))
	require.NotEqual(t, key("zookeeper://u:1@a:2181"), key("zookeeper://u:2@a:2181"))
	require.NotEqual(t, key("zookeeper://a:2181"), key("zookeeper://a:2181?session=4000"))
	require.NotContains(t, key("zookeeper://u:hidden@a:2181"), "hidden")
}
