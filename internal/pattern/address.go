package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// addresses is a range of IP addresses: a cidr, or one address (a plain string that is an address
// also matches its other spellings, such as ::1 and 0:0:0:0:0:0:0:1).
type addresses struct {
	text      string
	low, high []byte
}

// parseAddress reads an address without a zone. Dots after colons are not taken: event-ruler reads
// ::ffff:10.0.0.1 as plain text.
func parseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || strings.Contains(text, ":") && strings.Contains(text, ".") {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

func oneAddress(a netip.Addr) addresses {
	return addresses{text: fmt.Sprintf("%q", a), low: a.AsSlice(), high: a.AsSlice()}
}

// parseCIDR reads 10.0.0.0/24 or 2001:db8::/32. Bits after the mask are ignored, as AWS does.
func parseCIDR(text string) (addresses, error) {
	before, after, ok := strings.Cut(text, "/")
	if !ok {
		return addresses{}, errors.New(`a CIDR block has a mask, such as "10.0.0.0/24"`)
	}
	a, ok := parseAddress(before)
	if !ok {
		return addresses{}, fmt.Errorf("%q is not an IP address", before)
	}
	bits, err := strconv.Atoi(after)
	if err != nil || bits < 0 || bits >= a.BitLen() {
		return addresses{}, fmt.Errorf("the mask /%s must be /0 to /%d; one address is written as a plain string", after, a.BitLen()-1)
	}
	p := netip.PrefixFrom(a, bits).Masked()
	r := addresses{text: "cidr " + strconv.Quote(text), low: p.Addr().AsSlice(), high: p.Addr().AsSlice()}
	for i := bits; i < a.BitLen(); i++ {
		r.high[i/8] |= 0x80 >> (i % 8)
	}
	return r, nil
}

// matches compares an address of the other family by the bytes that both have, because
// event-ruler does: 10.0.0.0/8 takes a00::1. It is odd, and what a deployed rule would do.
func (r addresses) matches(v value) bool {
	a, ok := v.address()
	if !ok {
		return false
	}
	b := a.AsSlice()
	if n := len(r.low); len(b) >= n {
		return bytes.Compare(r.low, b[:n]) <= 0 && bytes.Compare(b[:n], r.high) <= 0
	}
	return bytes.Compare(r.low[:len(b)], b) < 0 && bytes.Compare(b, r.high[:len(b)]) < 0
}

func (r addresses) String() string { return r.text }
