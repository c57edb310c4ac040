"""C12.22 headers and messages to draw from."""

from __future__ import annotations

from hypothesis import strategies as st

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Message
from protocols.c12.titles import ApTitle

KEY = bytes(range(1, 17))

arcs = st.lists(st.integers(0, 2**28 - 1), min_size=1, max_size=4)
relative_titles = arcs.map(lambda a: ApTitle.parse("." + ".".join(map(str, a))))
titles = st.one_of(relative_titles, relative_titles.map(ApTitle.absolute))
invocations = st.binary(min_size=1, max_size=4)
authentications = st.builds(
    AuthenticationValue, st.integers(0, 2**32 - 1), st.none() | st.integers(0, 255)
)
qualifiers = st.integers(0, 255).map(AeQualifier)
object_identifiers = st.binary(min_size=1, max_size=12)

headers = st.builds(
    Header,
    st.none() | titles,
    st.none() | titles,
    invocations,
    st.none() | invocations,
    st.none() | qualifiers,
    st.none() | authentications,
    st.none() | object_identifiers,
    st.none() | object_identifiers,
)
controls = st.builds(
    Control, st.sampled_from(SecurityMode), st.sampled_from(ResponseControl), st.booleans()
)
epsems = st.builds(
    Epsem,
    st.lists(st.binary(max_size=200), max_size=4).map(tuple),
    controls,
    st.none() | st.binary(min_size=4, max_size=4),
)
protected_headers = headers.filter(lambda header: header.authentication is not None)
messages = st.builds(Message, protected_headers, epsems)
