// Clients of go-zookeeper/zk that live through changes of their servers: one writes a counter, sequential nodes and
// multis, another watches the counter and has an ephemeral node, two take turns with a lock.
//
// Arguments: the servers, a path, the session timeout in ms. A line "round" on the input is answered with what was
// done since; "end" with "ok", when all that was acknowledged is there. "FAIL why" comes at any time.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	// Between two writes: the clients share the cores with the servers.
	pace     = 8 * time.Millisecond
	patience = 120 * time.Second
)

var (
	root                  string
	ending                atomic.Bool
	writes, events, locks atomic.Int64
	// Nodes that the library left behind, see sweep.
	swept atomic.Int64
	gapNs atomic.Int64
	open  = zk.WorldACL(zk.PermAll)
)

func fail(format string, words ...any) {
	fmt.Println("FAIL " + strings.ReplaceAll(fmt.Sprintf(format, words...), "\n", " "))
	os.Exit(1)
}

func require(condition bool, format string, words ...any) {
	if !condition {
		fail(format, words...)
	}
}

func must(err error) {
	require(err == nil, "%v", err)
}

// A request may have been done or not, and the session goes on.
func unsure(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer)
}

// session is one that must not expire.
type session struct {
	*zk.Conn
	id int64
}

func connect(servers []string, timeout time.Duration) *session {
	conn, states, err := zk.Connect(servers, timeout, zk.WithLogInfo(false), zk.WithLogger(silent{}))
	must(err)
	made := make(chan struct{})
	var once sync.Once
	go func() {
		for event := range states {
			switch event.State {
			case zk.StateHasSession:
				once.Do(func() { close(made) })
			case zk.StateExpired, zk.StateAuthFailed:
				fail("session 0x%x: %v", conn.SessionID(), event.State)
			}
		}
	}()
	select {
	case <-made:
	case <-time.After(patience):
		fail("no connection")
	}
	return &session{conn, conn.SessionID()}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// sure repeats a request that can be repeated until it has an answer.
func sure(request func() error) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := request()
		if !unsure(err) {
			must(err)
			return
		}
		require(time.Now().Before(end), "no answer in %v: %v", patience, err)
	}
}

func (s *session) settled() {
	sure(func() error {
		_, err := s.Sync("/")
		return err
	})
}

func (s *session) number(path string) (value int64) {
	sure(func() error {
		data, _, err := s.Get(path)
		if err == nil {
			value, err = strconv.ParseInt(string(data), 10, 64)
		}
		return err
	})
	return
}

func (s *session) names(path string) (names []string) {
	sure(func() (err error) {
		names, _, err = s.Children(path)
		return
	})
	return
}

func (s *session) make(path string) {
	sure(func() error {
		_, err := s.Create(path, []byte("0"), 0, open)
		if errors.Is(err, zk.ErrNodeExists) {
			return nil
		}
		return err
	})
}

func bytes(value int64) []byte {
	return []byte(strconv.FormatInt(value, 10))
}

// counter writes, and knows what was acknowledged.
type counter struct {
	*session
	acknowledged, sent, mzxid, total int64
	unsure                           int
	made                             []string
}

func (c *counter) run() {
	last := time.Now()
	for !ending.Load() {
		err := c.one()
		if unsure(err) {
			c.settle()
			continue
		}
		must(err)
		now := time.Now()
		if gap := int64(now.Sub(last)); gap > gapNs.Load() {
			gapNs.Store(gap)
		}
		last = now
		writes.Add(1)
		time.Sleep(pace)
	}
}

func (c *counter) one() error {
	c.sent++
	stat, err := c.Set(root+"/counter", bytes(c.sent), -1)
	if err != nil {
		return err
	}
	require(stat.Mzxid > c.mzxid, "zxid 0x%x behind 0x%x", stat.Mzxid, c.mzxid)
	c.mzxid, c.acknowledged = stat.Mzxid, c.sent
	if c.sent%10 == 0 {
		c.unsure++
		name, err := c.Create(root+"/counter/n/s-", nil, zk.FlagSequence, open)
		if err != nil {
			return err
		}
		c.unsure--
		require(len(c.made) == 0 || name > c.made[len(c.made)-1], "%s behind %v", name, c.made)
		c.made = append(c.made, name)
	}
	if c.sent%10 == 5 {
		c.total++
		_, err := c.Multi(
			&zk.SetDataRequest{Path: root + "/multi", Data: bytes(c.total), Version: -1},
			&zk.CreateRequest{Path: fmt.Sprintf("%s/multi/%d", root, c.total), Acl: open})
		return err
	}
	return nil
}

// settle compares what is there with what was acknowledged, and goes on from that.
func (c *counter) settle() {
	c.settled()
	found := c.number(root + "/counter")
	require(c.acknowledged <= found && found <= c.sent,
		"the counter is %d, acknowledged are %d, sent %d", found, c.acknowledged, c.sent)
	c.acknowledged, c.sent = found, found
	made := c.number(root + "/multi")
	require(made == c.total || made == c.total-1, "%d multis, made were %d", made, c.total)
	c.total = made
	parts := len(c.names(root + "/multi"))
	require(int64(parts) == made, "%d nodes of %d multis", parts, made)
	there := c.names(root + "/counter/n")
	sort.Strings(there)
	is := map[string]bool{}
	for _, name := range there {
		is[root+"/counter/n/"+name] = true
	}
	for _, name := range c.made {
		require(is[name], "acknowledged and lost: %s", name)
	}
	require(len(there) <= len(c.made)+c.unsure, "%d sequential nodes, acknowledged are %d, unsure %d",
		len(there), len(c.made), c.unsure)
	require(len(there) == 0 || there[len(there)-1] == fmt.Sprintf("s-%010d", len(there)-1),
		"the numbers have a hole: %v", there)
}

// watch sees each state of the counter at most once: an event comes for each change behind a read, and once.
type watch struct {
	*session
	version int32
	fired   <-chan zk.Event
}

func (w *watch) look() {
	sure(func() error {
		_, stat, fired, err := w.GetW(root + "/counter")
		if err == nil {
			require(stat.Version > w.version, "an event at version %d, the node has %d", w.version, stat.Version)
			w.version, w.fired = stat.Version, fired
		}
		return err
	})
}

func (w *watch) take(event zk.Event) {
	require(event.Type == zk.EventNodeDataChanged, "%v", event)
	events.Add(1)
	w.look()
}

func (w *watch) run() {
	w.look()
	for !ending.Load() {
		select {
		case event := <-w.fired:
			w.take(event)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *watch) settle() {
	w.settled()
	var goal int32
	sure(func() error {
		_, stat, err := w.Exists(root + "/counter")
		if err == nil {
			goal = stat.Version
		}
		return err
	})
	end := time.After(patience)
	for w.version < goal {
		select {
		case event := <-w.fired:
			w.take(event)
		case <-end:
			fail("an event is lost: read was version %d, there is %d", w.version, goal)
		}
	}
}

// free deletes what an attempt to lock or unlock without an answer may have left of this session.
func (s *session) free() {
	for _, name := range s.names(root + "/lock") {
		path := root + "/lock/" + name
		sure(func() error {
			_, stat, err := s.Exists(path)
			if err != nil || stat.EphemeralOwner != s.id {
				return err
			}
			if err = s.Delete(path, -1); errors.Is(err, zk.ErrNoNode) {
				return nil
			}
			return err
		})
	}
}

var inside atomic.Int32

func (s *session) lock() {
	for !ending.Load() {
		lock := zk.NewLock(s.Conn, root+"/lock", open)
		if err := lock.Lock(); err != nil {
			require(unsure(err), "lock: %v", err)
			s.settled()
			s.free()
			continue
		}
		require(inside.Add(1) == 1, "two have the lock")
		// Without a version: only the lock keeps turns from getting lost. Tried again it writes the same.
		s.settled()
		turns := s.number(root+"/locked") + 1
		sure(func() error {
			_, err := s.Set(root+"/locked", bytes(turns), -1)
			return err
		})
		locks.Add(1)
		inside.Add(-1)
		if err := lock.Unlock(); err != nil {
			require(unsure(err) || errors.Is(err, zk.ErrNoNode), "unlock: %v", err)
			s.settled()
			s.free()
		}
		time.Sleep(5 * pace)
	}
}

// lockers returns the owners of the nodes of the lock, the first in turn first, and their paths.
func (s *session) lockers() (owners []int64, paths []string) {
	names := s.names(root + "/lock")
	turn := func(name string) string { return name[strings.LastIndex(name, "-")+1:] }
	sort.Slice(names, func(a, b int) bool { return turn(names[a]) < turn(names[b]) })
	for _, name := range names {
		path := root + "/lock/" + name
		sure(func() error {
			_, stat, err := s.Exists(path)
			if err == nil && stat.EphemeralOwner != 0 {
				owners, paths = append(owners, stat.EphemeralOwner), append(paths, path)
			}
			return err
		})
	}
	return
}

// sweep frees lockers that wait for themselves. The library looks for the node of a create without an answer once, and
// without a sync; when that node comes a moment later, it has made a second one, and waits for the first for ever.
func (s *session) sweep(end chan struct{}) {
	before, still := int64(-1), 0
	for {
		select {
		case <-end:
			end <- struct{}{}
			return
		case <-time.After(time.Second):
		}
		now := locks.Load()
		if now != before || inside.Load() != 0 {
			before, still = now, 0
			continue
		}
		if still++; still < 3 {
			continue
		}
		s.settled()
		owners, paths := s.lockers()
		if locks.Load() == now && inside.Load() == 0 && len(owners) > 1 && contains(owners[1:], owners[0]) {
			sure(func() error {
				if err := s.Delete(paths[0], -1); !errors.Is(err, zk.ErrNoNode) {
					return err
				}
				return nil
			})
			swept.Add(1)
		}
	}
}

func contains(all []int64, one int64) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

func said(gap int64) string {
	return fmt.Sprintf("writes=%d events=%d locks=%d swept=%d gap_ms=%d", writes.Load(), events.Load(), locks.Load(),
		swept.Load(), gap/int64(time.Millisecond))
}

func main() {
	servers := strings.Split(os.Args[1], ",")
	root = os.Args[2]
	timeoutMs, err := strconv.Atoi(os.Args[3])
	must(err)
	timeout := time.Duration(timeoutMs) * time.Millisecond
	writer, watcher := connect(servers, timeout), connect(servers, timeout)
	lockers := []*session{connect(servers, timeout), connect(servers, timeout)}
	for _, path := range []string{"", "/counter", "/counter/n", "/multi", "/lock", "/locked"} {
		writer.make(root + path)
	}
	_, err = watcher.Create(root+"/alive", nil, zk.FlagEphemeral, open)
	must(err)
	count, look := &counter{session: writer}, &watch{session: watcher, version: -1}
	works := []func(){count.run, look.run}
	for _, locker := range lockers {
		works = append(works, locker.lock)
	}
	done := make(chan struct{}, len(works))
	for _, work := range works {
		go func(work func()) {
			work()
			done <- struct{}{}
		}(work)
	}
	sweeping := make(chan struct{})
	go watcher.sweep(sweeping)
	fmt.Println("ready")
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() && orders.Text() != "end" {
		fmt.Println("round " + said(gapNs.Swap(0)))
	}
	ending.Store(true)
	for range works {
		select {
		case <-done:
		case <-time.After(patience):
			owners, paths := writer.lockers()
			fail("a client hangs; the lock has %v of %x", paths, owners)
		}
	}
	sweeping <- struct{}{}
	<-sweeping
	count.settle()
	look.settle()
	watcher.settled()
	sure(func() error {
		_, stat, err := watcher.Exists(root + "/alive")
		if err == nil {
			require(stat.EphemeralOwner == watcher.id, "the ephemeral node has the owner 0x%x", stat.EphemeralOwner)
		}
		return err
	})
	writer.settled()
	locked := writer.number(root + "/locked")
	require(locked == locks.Load(), "%d turns with the lock, %d were counted", locked, locks.Load())
	for _, each := range append(lockers, writer, watcher) {
		require(each.SessionID() == each.id, "session 0x%x is 0x%x now", each.id, each.SessionID())
		each.Close()
	}
	fmt.Println("ok " + said(gapNs.Load()))
}
