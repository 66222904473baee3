// Passkeys: asks the browser for one, writes its answer into the form as JSON, and sends the form.
//
//   <form id="f" data-passkey="create|get" data-passkey-options="{…}">  or  data-passkey-from="/where/the/options/are"
//     <input type="hidden" name="credential">
//   <button type="button" data-passkey-for="f">
"use strict";

(() => {
  const words = {
    NotAllowedError: "Nothing was chosen, or it took too long. Try again.",
    InvalidStateError: "This device has a passkey for this account already.",
    SecurityError: "Browsers keep no passkeys for this address: open the page by its host name.",
  };

  async function optionsOf(form) {
    if (form.dataset.passkeyOptions) return JSON.parse(form.dataset.passkeyOptions);
    const answer = await fetch(form.dataset.passkeyFrom, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status === 429 ? "Too many tries. Wait a minute." : "The server did not answer.");
    return (await answer.json()).request_options;
  }

  async function credentialFor(form) {
    const options = (await optionsOf(form)).publicKey;
    if (form.dataset.passkey === "get") {
      return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    }
    const alone = form.elements.passwordless?.checked ?? false;
    options.authenticatorSelection = {
      ...options.authenticatorSelection,
      residentKey: alone ? "required" : "discouraged",
      requireResidentKey: alone,
      userVerification: alone ? "required" : "preferred",
    };
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }

  function say(button, text) {
    let note = button.parentElement.querySelector("[data-passkey-note]");
    if (!note) {
      note = document.createElement("p");
      note.className = "note-box bad";
      note.dataset.passkeyNote = "";
      note.setAttribute("role", "alert");
      button.before(note);
    }
    note.textContent = text;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey-for]");
    if (!button) return;
    const form = document.getElementById(button.dataset.passkeyFor);
    button.disabled = true;
    try {
      if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) throw new Error("This browser is too old for passkeys here.");
      form.elements.credential.value = JSON.stringify((await credentialFor(form)).toJSON());
      form.submit();
    } catch (error) {
      say(button, words[error.name] ?? error.message);
      button.disabled = false;
    }
  });
})();
