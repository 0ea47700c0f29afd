# An authorization server and an API: Doorkeeper on Rails, from Debian packages, in one file.
#
#   DATA            a folder for the database                      REDIRECT_URI  of all clients
#   TOKEN_TTL       the lifetime of access tokens in seconds (7200)
#   REUSE           returns a client's current token while it is valid (reuse_access_token)
#   REVOKE_PREV_CC  a new token revokes the client's previous one (revoke_previous_client_credentials_token)
ENV["RAILS_ENV"] ||= "production"
require "logger"
require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require "doorkeeper"

DATABASE = File.join(ENV.fetch("DATA"), "doorkeeper.sqlite3")
ENV["DATABASE_URL"] = "sqlite3:#{DATABASE}"

class Server < Rails::Application
  config.load_defaults 6.1
  config.root = ENV.fetch("DATA")
  config.eager_load = false
  config.secret_key_base = "0" * 64
  config.consider_all_requests_local = true
  config.force_ssl = false
  config.public_file_server.enabled = false
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.session_store :cookie_store, key: "_session"
end

Doorkeeper.configure do
  orm :active_record
  base_controller "ActionController::Base"
  resource_owner_authenticator do
    User.find_by(id: session[:user_id]) || redirect_to("/login?" + { back: request.fullpath }.to_query)
  end
  resource_owner_from_credentials { |_| User.find_by(name: params[:username], password: params[:password]) }
  admin_authenticator { head :forbidden }
  access_token_expires_in Integer(ENV.fetch("TOKEN_TTL", "7200"))
  use_refresh_token
  default_scopes :public
  optional_scopes :read, :write
  enforce_configured_scopes
  grant_flows %w[authorization_code client_credentials password implicit]
  force_ssl_in_redirect_uri false
  reuse_access_token if ENV["REUSE"]
  revoke_previous_client_credentials_token if ENV["REVOKE_PREV_CC"]
  allow_token_introspection { |token, client, _| client || token }
end

Server.initialize!

class User < ActiveRecord::Base; end

class LoginController < ActionController::Base
  skip_forgery_protection

  def show
    render html: <<~PAGE.html_safe
      <title>Log in</title><form method=post action=/login>
      <input name=username> <input name=password type=password>
      <input type=hidden name=back value="#{ERB::Util.h(params[:back])}"> <button type=submit>Log in</button></form>
    PAGE
  end

  def create
    user = User.find_by(name: params[:username], password: params[:password])
    return head(:unauthorized) unless user

    session[:user_id] = user.id
    redirect_to(params[:back].presence || "/health")
  end
end

class ApiController < ActionController::Base
  skip_forgery_protection
  before_action(only: :me) { doorkeeper_authorize! :public }
  before_action(only: :write) { doorkeeper_authorize! :write }

  def me
    user = User.find_by(id: doorkeeper_token.resource_owner_id)
    render json: { user: user&.name, client: doorkeeper_token.application&.uid }
  end

  def write
    render json: { written: true }
  end

  def health
    head :no_content
  end
end

Server.routes.draw do
  use_doorkeeper
  get "/login", to: "login#show"
  post "/login", to: "login#create"
  get "/api/me", to: "api#me"
  post "/api/write", to: "api#write"
  get "/health", to: "api#health"
end

ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: DATABASE, pool: 16, timeout: 5000)
ActiveRecord::Migration.verbose = false
ActiveRecord::Schema.define do
  create_table(:users) { |table| table.string :name; table.string :password }
  create_table :oauth_applications do |table|
    table.string :name, null: false
    table.string :uid, null: false
    table.string :secret, null: false, default: ""
    table.text :redirect_uri
    table.string :scopes, null: false, default: ""
    table.boolean :confidential, null: false, default: true
    table.timestamps null: false
  end
  create_table :oauth_access_grants do |table|
    table.bigint :resource_owner_id, null: false
    table.bigint :application_id, null: false
    table.string :token, null: false
    table.integer :expires_in, null: false
    table.text :redirect_uri, null: false
    table.datetime :created_at, null: false
    table.datetime :revoked_at
    table.string :scopes, null: false, default: ""
    table.string :code_challenge
    table.string :code_challenge_method
  end
  # Without the column previous_refresh_token, a refresh revokes the old tokens immediately.
  create_table :oauth_access_tokens do |table|
    table.bigint :resource_owner_id
    table.bigint :application_id
    table.string :token, null: false
    table.string :refresh_token
    table.integer :expires_in
    table.datetime :revoked_at
    table.datetime :created_at, null: false
    table.string :scopes
  end
end

User.create!(name: "alice", password: "wonderland")
[["svc", "s3cret", true],
 ["weird", "p@ss:w/ rd+%25&=\u00e9", true], # accepted unencoded in Basic, because Doorkeeper never decodes it
 ["public", "", false]].each do |id, secret, confidential|
  Doorkeeper::Application.create!(
    name: id, uid: id, secret: secret.presence || "unused", confidential: confidential,
    redirect_uri: ENV.fetch("REDIRECT_URI"), scopes: "public read write"
  )
end

run Server
