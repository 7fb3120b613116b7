package zk

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// Params are the parameters of a URL zookeeper://[user:password@]host:port[,host:port…].
type Params struct {
	Session time.Duration `url:"session" default:"60000" doc:"session timeout asked of ZooKeeper; how long entries outlive a process that dies"`
	Connect time.Duration `url:"timeout" default:"30000" doc:"time to connect to one ZooKeeper server; never over a third of the session timeout"`
	Backup  []string      `url:"backup" doc:"further ZooKeeper servers, as host:port"`
	SSL     bool          `url:"ssl" default:"false" doc:"connect to ZooKeeper by TLS"`
}

// FromURL returns the config that a URL describes. secure is used when the URL has ssl=true; nil then means the
// system's roots.
func FromURL(u *url.URL, secure *tls.Config) (Config, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return Config{}, fmt.Errorf("zk: %w", err)
	}
	if p.Session <= 0 || p.Connect <= 0 {
		return Config{}, fmt.Errorf("zk: session=%v, timeout=%v: both must be positive", p.Session, p.Connect)
	}
	cfg := Config{SessionTimeout: p.Session, ConnectTimeout: p.Connect, User: u.User(), Password: u.Password()}
	cfg.Addresses = append(slices.Clone(u.Addresses()), p.Backup...)
	if p.SSL {
		if cfg.TLS = secure; secure == nil {
			cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	return cfg, nil
}

// Key names the session that this config opens: users with equal keys can share one client.
func (c Config) Key() string {
	c = c.withDefaults()
	slices.Sort(c.Addresses)
	password := sha256.Sum256([]byte(c.Password)) // keys may be shown
	return fmt.Sprintf("zookeeper|%s|%s|%s|%v|%v|%p", strings.Join(c.Addresses, ","), c.User,
		hex.EncodeToString(password[:8]), c.SessionTimeout, c.ConnectTimeout, c.TLS)
}
