package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// addressRange is a range of IP addresses: a CIDR block, or a single address. A plain string that is
// an address also matches its other spellings, such as ::1 and 0:0:0:0:0:0:0:1.
type addressRange struct {
	text      string
	low, high []byte // the first and the last address of the range
}

// parseAddress reads an IP address without a zone. It rejects dots after colons, because event-ruler
// reads ::ffff:10.0.0.1 as plain text.
func parseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || strings.Contains(text, ":") && strings.Contains(text, ".") {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// singleAddress returns the range that holds only one address.
func singleAddress(a netip.Addr) addressRange {
	return addressRange{text: fmt.Sprintf("%q", a), low: a.AsSlice(), high: a.AsSlice()}
}

// parseCIDR reads a block such as 10.0.0.0/24 or 2001:db8::/32. It ignores the bits after the mask, as
// AWS does.
func parseCIDR(text string) (addressRange, error) {
	before, after, ok := strings.Cut(text, "/")
	if !ok {
		return addressRange{}, errors.New(`a CIDR block needs a mask, such as "10.0.0.0/24"`)
	}
	a, ok := parseAddress(before)
	if !ok {
		return addressRange{}, fmt.Errorf("%q is not an IP address", before)
	}
	bits, err := strconv.Atoi(after)
	if err != nil || bits < 0 || bits >= a.BitLen() {
		return addressRange{}, fmt.Errorf("the mask /%s must be /0 to /%d; write a single address as a plain string", after, a.BitLen()-1)
	}
	p := netip.PrefixFrom(a, bits).Masked()
	r := addressRange{text: "cidr " + strconv.Quote(text), low: p.Addr().AsSlice(), high: p.Addr().AsSlice()}
	for i := bits; i < a.BitLen(); i++ {
		r.high[i/8] |= 0x80 >> (i % 8)
	}
	return r, nil
}

// matches reports whether the value is an address in the range. It compares an address of the other
// family by the bytes that both have: 10.0.0.0/8 matches a00::1. This is surprising, but event-ruler
// does it, so a deployed rule does it too.
func (r addressRange) matches(v value) bool {
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

func (r addressRange) String() string { return r.text }
