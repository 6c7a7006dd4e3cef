// A foreign witness: porcupine decides whether what clients saw of registers is linearizable.
//
// Reads a history from the file named as argument, one operation per line, tab-separated:
//
//	key kind client invoked returned outcome value expected version
//
// kind is create, set, cas or get; times are ns; outcome is ok, fail (refused, and the refusal tells something of the
// register: version is -1 for "it is not there", -2 for "it has another version", -3 for "it is there") or unknown
// (returned is ignored). A register has a value and a version that grows by one with each write.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	absent       = -1
	otherVersion = -2
	present      = -3
	anyVersion   = -9
	patience     = 60 * time.Second
)

// After all that got an answer comes an operation `end`; what nobody knows of, and did not happen, is placed behind it.
type register struct {
	version, value int
	ended          bool
}

type operation struct {
	kind            string
	outcome         string
	value, expected int
	version         int
}

// holes are the versions of a key that no acknowledged write has and no read saw: only they are left for writes of
// which nobody knows.
type holes struct {
	taken map[int]bool
	// The version that a read saw of a written value.
	seen map[int]int
}

func step(known *holes, before register, op operation) (bool, register) {
	if before.ended {
		return op.outcome == "unknown", before
	}
	switch {
	case op.kind == "end":
		before.ended = true
		return true, before
	case op.kind == "get":
		if op.outcome == "fail" {
			return before.version == absent, before
		}
		return before.version == op.version && before.value == op.value, before
	case op.outcome == "fail":
		switch op.version {
		case absent:
			return before.version == absent, before
		case present:
			return before.version != absent, before
		case otherVersion:
			return before.version != absent && before.version != op.expected, before
		}
		return false, before
	}
	if op.kind == "create" && before.version != absent || op.kind != "create" && before.version == absent {
		return false, before
	}
	if op.kind == "cas" && before.version != op.expected {
		return false, before
	}
	after := register{version: before.version + 1, value: op.value}
	if op.outcome == "ok" {
		return after.version == op.version, after
	}
	if version, seen := known.seen[op.value]; seen {
		return version == after.version, after
	}
	return !known.taken[after.version], after
}

func model(known *holes) porcupine.Model {
	return porcupine.Model{
		Init: func() interface{} { return register{version: absent} },
		Step: func(state, input, _ interface{}) (bool, interface{}) {
			ok, after := step(known, state.(register), input.(operation))
			return ok, after
		},
		Equal: func(one, other interface{}) bool { return one.(register) == other.(register) },
	}
}

func read(name string) (map[string][]porcupine.Operation, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	keys := map[string][]porcupine.Operation{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		if len(words) != 9 {
			return nil, fmt.Errorf("not an operation: %q", lines.Text())
		}
		var numbers [9]int64
		for _, at := range []int{2, 3, 4, 6, 7, 8} {
			if numbers[at], err = strconv.ParseInt(words[at], 10, 64); err != nil {
				return nil, err
			}
		}
		op := operation{words[1], words[5], int(numbers[6]), int(numbers[7]), int(numbers[8])}
		end := numbers[4]
		if op.outcome == "unknown" {
			end = math.MaxInt64
		}
		keys[words[0]] = append(keys[words[0]], porcupine.Operation{
			ClientId: int(numbers[2]), Input: op, Call: numbers[3], Return: end,
		})
	}
	return keys, lines.Err()
}

// gather collects what is told of versions.
func gather(history []porcupine.Operation) *holes {
	known := &holes{map[int]bool{}, map[int]int{}}
	for _, one := range history {
		op := one.Input.(operation)
		if op.outcome == "ok" {
			known.taken[op.version] = true
			known.seen[op.value] = op.version
		}
	}
	return known
}

func main() {
	keys, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	wrong, operations, unknown := 0, 0, 0
	for key, history := range keys {
		operations += len(history)
		for _, one := range history {
			if one.Input.(operation).outcome == "unknown" {
				unknown++
			}
		}
		end := porcupine.Operation{Input: operation{kind: "end"}, Call: math.MaxInt64 - 1, Return: math.MaxInt64}
		history = append(history, end)
		if result := porcupine.CheckOperationsTimeout(model(gather(history)), history, patience); result != porcupine.Ok {
			wrong++
			fmt.Printf("key %s: %s, %d operations\n", key, result, len(history))
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d keys, %d operations, %d of them unknown\n", len(keys), operations, unknown)
}
